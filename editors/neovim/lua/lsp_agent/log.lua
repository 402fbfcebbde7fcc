-- The plugin's own log, beside Neovim's: `:Agent log` opens it. The server writes its own, see `:Agent status`.

local M = {}

local NAMES = { [0] = 'TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR' }

---@return string
function M.path()
  return vim.fs.joinpath(vim.fn.stdpath('log') --[[@as string]], 'lsp-agent.log')
end

---Append one line when `level` is at least the configured one.
---@param level integer One of vim.log.levels
---@param text string
function M.write(level, text)
  if level < require('lsp_agent.config').get().log_level then
    return
  end
  local path = M.path()
  vim.fn.mkdir(vim.fs.dirname(path), 'p')
  local file = io.open(path, 'a')
  if file then
    file:write(('%s %s %s\n'):format(os.date('!%Y-%m-%dT%H:%M:%SZ'), NAMES[level] or '?', text:gsub('\n', ' ')))
    file:close()
  end
end

return M
