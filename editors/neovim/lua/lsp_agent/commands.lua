-- `:Agent` and its sub-commands, which are also the `/` commands of the input.

local M = {}

---@class (exact) lsp_agent.Command
---@field run fun(chat: lsp_agent.Chat, text: string, command: table)
---@field complete (fun(chat: lsp_agent.Chat): string[])? Values of its argument
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
---@param complete (fun(chat: lsp_agent.Chat): string[])?
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

---@param items string[]
---@return fun(): string[]
local function values(items)
  return function()
    return items
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

define('steer', 'put a prompt into the running turn', function(_, text, command)
  if text == '' then
    return vim.notify('lsp-agent: steer with what?')
  end
  require('lsp_agent').ask(text, { lines = lines_of(command), steering = true })
end)

define('attach', 'put the file or the range, as @path, into the input', function(chat, text, command)
  local bufnr = require('lsp_agent.editor').file(chat.root)
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

define('restart', 'restart the server; the session goes on', calling('connecting', 'restart'))

define('log', "open the plugin's log", function()
  vim.cmd.split(vim.fn.fnameescape(require('lsp_agent.log').path()))
end)

define('permission', 'answer the open permission', function(chat, text)
  local permission = require('lsp_agent.permission')
  if text == '' then
    return permission.menu(chat)
  end
  permission.answer(chat, text)
end, values({ 'allow_once', 'allow_session', 'allow_always', 'reject_once', 'reject_always' }))
define('question', 'answer the open question', calling('questions', 'open'))
define('queue', 'show the prompts that wait, or clear them', calling('queue', 'open'), values({ 'clear' }))
define('status', 'how server and session are', calling('status', 'show'))
define('follow', 'show the file the agent is at work in, or no longer', function()
  local is_on = require('lsp_agent.following').toggle()
  vim.notify('lsp-agent: ' .. (is_on and 'following' or 'not following'))
end)
define('terminals', 'commands the agent runs', calling('commanded', 'open'))

define('sessions', 'the sessions of the workspace', calling('conversations', 'open'))
define('new', 'begin a new session', calling('sessions', 'new'))
define('rename', "change the session's title", calling('sessions', 'rename'))
define('fork', 'go on in a copy of the session', function(chat)
  require('lsp_agent.sessions').fork(chat)
end)
define('delete', 'delete the session', calling('sessions', 'delete_current'))
define('compact', 'summarize the session to make room', calling('sessions', 'compact'))
define('model', 'choose the model', calling('sessions', 'model'), function()
  return require('lsp_agent.sessions').model_ids()
end)
define('mode', 'choose what may happen without asking', calling('sessions', 'mode'), function()
  return require('lsp_agent.sessions').MODES
end)
define('thinking', 'choose how much the model thinks', calling('sessions', 'thinking'), function(chat)
  return require('lsp_agent.sessions').choices(chat, 'thinking')
end)
define('export', 'the session as a text', calling('sessions', 'export'), values({ 'markdown', 'json' }))

---@param action 'accept'|'reject'
---@return fun(chat: lsp_agent.Chat, text: string)
local function resolving(action)
  return function(chat, text)
    local changes = require('lsp_agent.changes')
    local comment = text ~= '' and text ~= 'all' and text or nil
    changes.resolve(chat, changes.here(text == 'all'), action, comment)
  end
end

define('accept', 'accept the hunk at the cursor, or all of the buffer', resolving('accept'), values({ 'all' }))
define(
  'reject',
  'put the old text of the hunk back, or of all; a text is told to the model',
  resolving('reject'),
  values({ 'all' })
)

define('undo', "take the newest decision on the last run's changes back, then the changes", calling('changes', 'undo'))
define('redo', 'take an undo back', calling('changes', 'redo'))
define('checkpoints', 'pick a moment to go back to', calling('checkpoints', 'pick'))
define(
  'restore',
  'go back to before the last restore, or to a checkpoint',
  calling('checkpoints', 'restore'),
  function(chat)
    return require('lsp_agent.checkpoints').ids(chat)
  end
)

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

---@param lead string
---@return string[]
local function files(lead)
  local mark = lead:match('^@?')
  return vim.tbl_map(function(path)
    return mark .. path
  end, vim.fn.getcompletion(lead:sub(#mark + 1), 'file'))
end

---Completion of `:Agent`: names, then the values of a command's argument, or files.
---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local name = line:match('Agent!?%s+(%S+)%s')
  local known = name and commands[name]
  if not name then
    return M.names(lead)
  elseif lead:sub(1, 1) == '@' or name == 'attach' then
    return files(lead)
  elseif known and known.complete then
    return vim.tbl_filter(function(value)
      return vim.startswith(value, lead)
    end, known.complete(require('lsp_agent.chat').here()))
  end
  return {}
end

return M
