-- Run by `nvim -l`: folds every transcript named on the command line and prints their view models as JSON lines.
-- `arg[1]` is the plugin's folder, `arg[2]` is `nulls` to keep JSON's null (Neovim's client drops it).
package.path = ('%s/lua/?.lua;%s/lua/?/init.lua;%s'):format(arg[1], arg[1], package.path)
local fold, restoring = require('lsp_agent.session'), require('lsp_agent.restoring')
local options = arg[2] == 'nulls' and {} or { luanil = { object = true } }

for number = 3, #arg do
  local session = fold.new('s1')
  for line in io.lines(arg[number]) do
    local message = vim.json.decode(line, options)
    if message.method == 'agent/session/attach' then
      session = restoring.attached(session, message.result)
    elseif message.method == 'agent/session/read' then
      restoring.load(session, message.result.messages)
    elseif message.method == 'agent/runComplete' then
      fold.complete(session, message.params)
    else
      fold.apply(session, message.params)
    end
  end
  io.stdout:write(vim.json.encode(fold.view_model(session)), '\n')
end
