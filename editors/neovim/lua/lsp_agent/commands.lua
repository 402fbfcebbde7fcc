-- `:Agent` and its sub-commands, which are also the `/` commands of the input.

local M = {}

---@class (exact) lsp_agent.Command
---@field run fun(chat: lsp_agent.Chat, text: string, command: table)
---@field complete (fun(): string[])? Values of its argument
---@field help string

---@param command table
---@return { first: integer, last: integer }?
local function lines_of(command)
  return (command.range or 0) > 0 and { first = command.line1, last = command.line2 } or nil
end

---@type table<string, lsp_agent.Command>
local commands = {}

---@param name string
---@param help string
---@param run fun(chat: lsp_agent.Chat, text: string, command: table)
---@param complete (fun(): string[])?
local function define(name, help, run, complete)
  commands[name] = { run = run, help = help, complete = complete }
end

---@param module string
---@param act string
---@return fun(chat: lsp_agent.Chat, text: string)
local function calling(module, act)
  return function(chat, text)
    require('lsp_agent.' .. module)[act](chat, text)
  end
end

define('open', 'show the chat and write a prompt', function(chat, text)
  chat:when_ready()
  require('lsp_agent.input').open(chat, text)
end)

define('ask', 'send a prompt about the file or range; with ! it joins the running turn', function(chat, text, command)
  if text == '' then
    return require('lsp_agent.input').open(chat)
  end
  require('lsp_agent').ask(text, {
    chat = chat,
    lines = lines_of(command),
    when_busy = command.bang and 'fold' or nil,
  })
end)

define('attach', 'put the file or the range, as @path, into the input', function(chat, text, command)
  local bufnr = require('lsp_agent.editor').file()
  local path = text ~= '' and text or bufnr and vim.api.nvim_buf_get_name(bufnr) or ''
  path = vim.fs.relpath(chat.root, vim.fs.abspath(path)) or path
  local lines = lines_of(command)
  local said = lines and (' lines %d-%d'):format(lines.first, lines.last) or ''
  require('lsp_agent.input').open(chat, ('@%s%s '):format(path, said))
end)

define('stop', 'stop what runs and what waits', function(chat)
  chat:stop()
end)

define('close', 'close the chat windows', function(chat)
  require('lsp_agent.windows').close(chat)
end)

define('restart', 'restart the server; the session goes on', function(chat)
  chat:restart()
end)

define('log', "open the plugin's log", function()
  vim.cmd.split(vim.fn.fnameescape(require('lsp_agent.log').path()))
end)

define('permission', 'answer the open permission', calling('permission', 'menu'))
define('question', 'answer the open question', calling('questions', 'open'))
define('queue', 'show the prompts that wait', calling('queue', 'open'))
define('status', 'how server and session are', calling('status', 'show'))
define('sessions', 'pick a session', calling('sessions', 'pick'))
define('new', 'begin a new session', calling('sessions', 'new'))
define('rename', "change the session's title", calling('sessions', 'rename'))
define('fork', 'go on in a copy of the session', calling('sessions', 'fork'))
define('compact', 'summarize the session to make room', calling('sessions', 'compact'))
define('model', 'choose the model', calling('sessions', 'model'))
define('mode', 'choose what may happen without asking', calling('sessions', 'mode'), function()
  return require('lsp_agent.sessions').MODES
end)
define('export', 'the session as a text', calling('sessions', 'export'), function()
  return { 'markdown', 'json' }
end)

---@param action 'accept'|'reject'
---@return fun(chat: lsp_agent.Chat, text: string)
local function resolving(action)
  return function(chat, text)
    local changes = require('lsp_agent.changes')
    local comment = text ~= '' and text ~= 'all' and text or nil
    changes.resolve(chat, changes.here(text == 'all'), action, comment)
  end
end

local function all()
  return { 'all' }
end

define('accept', 'accept the hunk at the cursor, or all of the buffer', resolving('accept'), all)
define('reject', 'put the old text of the hunk back, or of all; a text is told to the model', resolving('reject'), all)

define('undo', "take the newest decision on the last run's changes back, then the changes", calling('changes', 'undo'))
define('redo', 'take an undo back', calling('changes', 'redo'))
define('checkpoints', 'pick a moment to go back to', calling('checkpoints', 'pick'))
define('restore', 'go back to before the last restore, or to a checkpoint', calling('checkpoints', 'restore'))

define('trust', 'whether the agent obeys this folder, and change it', calling('workspace', 'trust'))
define('rules', 'the instructions of the workspace', calling('workspace', 'rules'))
define('mcp', 'MCP servers and their state', calling('workspace', 'mcp'))

define('diff', 'the pending changes as a diff', function()
  require('lsp_agent.changes').diff()
end)

define('changes', 'the pending changes as a quickfix list', function()
  require('lsp_agent.changes').quickfix()
end)

define('next', 'go to the next change', function()
  require('lsp_agent.changes').go(1)
end)

define('previous', 'go to the change before', function()
  require('lsp_agent.changes').go(-1)
end)

---Names of the commands that begin with `lead`, or are it.
---@param lead string
---@param exactly boolean?
---@return string[]
function M.names(lead, exactly)
  local found = vim.tbl_filter(function(name)
    return exactly and name == lead or not exactly and vim.startswith(name, lead)
  end, vim.tbl_keys(commands))
  table.sort(found)
  return found
end

---Every command with a sentence, for the help.
---@return table<string, string>
function M.help()
  return vim.tbl_map(function(command)
    return command.help
  end, commands)
end

---@param chat lsp_agent.Chat
---@param name string
---@param text string
---@param command table? Of nvim_create_user_command
function M.perform(chat, name, text, command)
  local known = commands[name]
  if not known then
    return vim.notify(('lsp-agent: there is no :Agent %s'):format(name), vim.log.levels.ERROR)
  end
  known.run(chat, text, command or {})
end

---`:Agent`.
---@param command table
function M.run(command)
  local name, text = command.args:match('^%s*(%S+)%s*(.-)%s*$')
  M.perform(require('lsp_agent.chat').here(), name or 'open', text or '', command)
end

---Completion of `:Agent`.
---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local name = line:match('Agent!?%s+(%S+)%s')
  if not name then
    return M.names(lead)
  end
  local known = commands[name]
  if known and known.complete then
    return vim.tbl_filter(function(value)
      return vim.startswith(value, lead)
    end, known.complete())
  end
  if lead:sub(1, 1) == '@' or name == 'attach' then
    local mark = lead:match('^@?')
    return vim.tbl_map(function(path)
      return mark .. path
    end, vim.fn.getcompletion(lead:sub(#mark + 1), 'file'))
  end
  return {}
end

return M
