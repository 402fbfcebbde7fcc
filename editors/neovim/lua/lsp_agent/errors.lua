-- What can go wrong with a request, as values: the `kind` of PROTOCOL 12, how loud it is, and a sentence for the user.

local M = {}

local WARN, ERROR, INFO = vim.log.levels.WARN, vim.log.levels.ERROR, vim.log.levels.INFO

---@type table<string, integer>
local levels = {
  SessionBusy = WARN, -- a run is active and the request needs none
  RunMismatch = WARN, -- another run is active than the one named
  QueueFull = WARN, -- too many prompts wait
  RevisionConflict = WARN, -- the queue changed meanwhile
  Overloaded = WARN, -- too many requests at once
  StaleDocument = WARN, -- the server has another version of the buffer
  ShuttingDown = INFO, -- the server is leaving
  WorkspaceUntrusted = WARN, -- the user has not trusted this folder
}

---@type table<string, string>
local sentences = {
  SessionNotFound = 'this session does not exist any more',
  SessionBusy = 'the session is busy; wait for the run or stop it',
  RunMismatch = 'another run is active now',
  QueueFull = 'the queue is full',
  RevisionConflict = 'the queue changed meanwhile; try again',
  UnsupportedVersion = 'this plugin and the server speak different protocol versions; update the older one',
  AuthRequired = 'no key for the model; see `lsp-agent doctor`',
  StaleDocument = 'the server does not know the newest text of the buffer yet; try again',
}

---@param err table An LSP response error
---@return string kind `Unknown` when the server named none
function M.kind(err)
  local data = type(err.data) == 'table' and err.data or {}
  return data.kind or (err.code == -32601 and 'MethodNotFound') or 'Unknown'
end

---@param err table
---@return integer one of vim.log.levels
function M.level(err)
  return levels[M.kind(err)] or ERROR
end

---@param err table
---@return string
function M.text(err)
  local kind = M.kind(err)
  if kind == 'MethodNotFound' then
    return 'this server cannot do that'
  end
  return sentences[kind] or err.message or kind
end

---Tell the user, and the log.
---@param err table
---@param doing string What was tried, as in `list sessions`
function M.report(err, doing)
  local text = ('lsp-agent: cannot %s: %s'):format(doing, M.text(err))
  require('lsp_agent.log').write(M.level(err), text .. ' ' .. vim.inspect(err.data or err.code))
  vim.notify(text, M.level(err))
end

return M
