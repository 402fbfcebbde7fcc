-- What the user chose, over the defaults. `setup` is optional; without it the defaults are in force.

local M = {}

---@type lsp_agent.Config
local defaults = {
  cmd = { 'lsp-agent', 'serve' },
  root_markers = { '.git', '.lsp-agent.toml' },
  when_busy = 'queue',
  attach_buffer = true,
  restore = true,
  permission = 'chat',
  question = 'chat',
  push_selection = true,
  push_diagnostics = true,
  selection_debounce_ms = 120,
  sessions = 'list',
  signs = true,
  follow = false,
  restarts = 3,
  window = { width = 80, input_height = 6 },
  keys = {
    allow_once = 'a',
    allow_session = 's',
    allow_always = 'A',
    reject_once = 'r',
    reject_always = 'R',
    reject_message = 'm',
    permission_menu = 'p',
    answer = '<CR>',
    decline = 'd',
    input = 'i',
    steer = '<M-CR>',
    stop = '<C-c>',
    queue = 'Q',
    close = 'q',
  },
  change_keys = {
    accept = '<Leader>aa',
    reject = '<Leader>ar',
    undo = '<Leader>au',
    redo = '<Leader>aR',
    next = ']a',
    previous = '[a',
  },
  log_level = vim.log.levels.WARN,
}

---@type lsp_agent.Config
local current = vim.deepcopy(defaults)

---The settings in force.
---@return lsp_agent.Config
function M.get()
  return current
end

---The server's command line. When `lsp-agent` is not on the path, the one of the README's set-up is taken.
---@return string[]
function M.command()
  local command = vim.deepcopy(current.cmd)
  local installed = vim.fs.normalize('~/.lsp-agent/bin/lsp-agent')
  if command[1] == 'lsp-agent' and vim.fn.executable('lsp-agent') == 0 and vim.fn.executable(installed) == 1 then
    command[1] = installed
  end
  return command
end

---What to do about a server that is not there to be started.
---@param program string
---@return string
function M.missing(program)
  local fix = 'Install it (pip install . in a clone of the repository), or name it: '
  local setup = "require('lsp_agent').setup({ cmd = { '/path/to/lsp-agent', 'serve' } })"
  return ('the server %q is not executable. %s%s'):format(program, fix, setup)
end

---Put the user's settings over the defaults. Raises an error that names a setting there is none of.
---@param options table?
function M.set(options)
  for name in pairs(options or {}) do
    if defaults[name] == nil and name ~= 'cmd_env' then
      error(('lsp-agent: there is no setting %q; see :help lsp-agent-settings'):format(name), 0)
    end
  end
  current = vim.tbl_deep_extend('force', vim.deepcopy(defaults), options or {})
end

return M
