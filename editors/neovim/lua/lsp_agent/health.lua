-- `:checkhealth lsp_agent`

local M = {}

---@param health table
local function check_server(health)
  local command = require('lsp_agent.config').command()
  local program = command[1]
  if vim.fn.executable(program) == 0 then
    return health.error(('server %q is not executable'):format(program), {
      'Install it: pip install . in a clone of the repository',
      "Or name it: require('lsp_agent').setup({ cmd = { '/path/to/lsp-agent', 'serve' } })",
    })
  end
  local without_serve = vim.list_slice(command, 1, math.max(#command - 1, 1))
  local ok, result = pcall(function()
    local version = vim.list_extend(without_serve, { '--version' })
    local env = require('lsp_agent.config').get().cmd_env
    return vim.system(version, { text = true, timeout = 10000, env = env }):wait()
  end)
  if ok and result.code == 0 then
    health.ok(('server %s: %s'):format(program, vim.trim(result.stdout)))
  else
    health.warn(('server %s does not tell its version'):format(program))
  end
end

---@param health table
local function check_clients(health)
  local chats = package.loaded['lsp_agent.chat'] and require('lsp_agent.chat').all() or {}
  local running = 0
  for _, chat in ipairs(chats) do
    if chat:client() then
      running = running + 1
      local version = chat.abilities.version or '?'
      health.ok(('%s: running, server %s, session %s'):format(chat.root, version, chat.current or 'none'))
      for _, ability in ipairs({ 'changes', 'checkpoint' }) do
        if not chat.abilities[ability] then
          health.info(('%s: this server keeps no %s; the plugin does without'):format(chat.root, ability))
        end
      end
    end
  end
  if running == 0 then
    health.info('no server runs; the first :Agent starts it')
  end
end

function M.check()
  local health = vim.health
  health.start('lsp-agent')
  if vim.fn.has('nvim-0.11') == 1 then
    health.ok('Neovim ' .. tostring(vim.version()))
  else
    return health.error('Neovim 0.11 or newer is needed')
  end
  check_server(health)
  check_clients(health)
  if pcall(vim.treesitter.language.add, 'markdown') and vim.treesitter.language.add('markdown') then
    health.ok('the chat is coloured by tree-sitter')
  else
    health.warn('there is no tree-sitter parser for markdown: a long answer is slow to draw')
  end
  local directory = require('lsp_agent.memory').directory()
  vim.fn.mkdir(directory, 'p')
  if vim.fn.filewritable(directory) == 2 then
    health.ok('state is kept in ' .. directory)
  else
    health.error(directory .. ' cannot be written: sessions are not found again after a restart')
  end
  if vim.fn.executable('git') == 0 then
    health.warn('git is missing: completion of files is slower')
  end
end

return M
