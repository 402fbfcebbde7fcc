-- One workspace's conversation: its client, the sessions known in it, the one that is shown, and its view.
-- Everything that talks to the server goes through `request`; events come in by `event` and `complete`.

local children = require('lsp_agent.children')
local config = require('lsp_agent.config')
local errors = require('lsp_agent.errors')
local fold = require('lsp_agent.session')
local memory = require('lsp_agent.memory')
local restoring = require('lsp_agent.restoring')

---@class lsp_agent.Chat
---@field root string
---@field client_id integer?
---@field instance string? The server's `instanceId`
---@field abilities lsp_agent.Json What the server advertised
---@field sessions table<string, lsp_agent.Session>
---@field children lsp_agent.Children Sub-agents of the sessions
---@field current string? Id of the session that is shown
---@field ready boolean Connected and, when there was a session, attached
---@field waiting { go: fun(), lost: fun()? }[] What waits for `ready`
---@field unanswered table<string, lsp_agent.Unanswered> Prompts the server has not answered, by run id
---@field behind { go: fun(), lost: fun() }[] Prompts that wait for the session that one of those makes
---@field crashes integer
---@field restarting boolean The server is being stopped to start again
---@field mentioned table<string, lsp_agent.Json> Attachments of mentions chosen in the input, by word
---@field next_options lsp_agent.Json Options chosen before there is a session
---@field editing lsp_agent.QueueItem? The waiting prompt whose text is in the input
---@field view lsp_agent.View
local Chat = {}
Chat.__index = Chat

local M = {}

---@type table<string, lsp_agent.Chat>
local by_root = {}

---The chat of a workspace, made when it is new.
---@param root string
---@return lsp_agent.Chat
function M.of_root(root)
  local chat = by_root[root]
  if not chat then
    chat = setmetatable({
      root = root,
      abilities = {},
      sessions = {},
      children = {},
      ready = false,
      waiting = {},
      unanswered = {},
      behind = {},
      crashes = 0,
      restarting = false,
      mentioned = {},
      next_options = {},
    }, Chat)
    chat.view = require('lsp_agent.view').new(chat)
    by_root[root] = chat
  end
  return chat
end

---@param client vim.lsp.Client
---@return lsp_agent.Chat?
function M.of_client(client)
  return client.config.root_dir and M.of_root(client.config.root_dir --[[@as string]]) or nil
end

---The chat that the current buffer belongs to: the chat's own windows, else the file's workspace.
---@return lsp_agent.Chat
function M.here()
  local bufnr = vim.api.nvim_get_current_buf()
  local root = vim.b[bufnr].lsp_agent_root
  return M.of_root(root or require('lsp_agent.client').root(bufnr))
end

---Every chat there is.
---@return lsp_agent.Chat[]
function M.all()
  return vim.tbl_values(by_root)
end

---@return vim.lsp.Client?
function Chat:client()
  local client = self.client_id and vim.lsp.get_client_by_id(self.client_id)
  return client and not client:is_stopped() and client or nil
end

---@return lsp_agent.Session?
function Chat:session()
  return self.current and self.sessions[self.current] or nil
end

---Sessions that are shown: the current one and its sub-agents.
---@return lsp_agent.Session[]
function Chat:shown()
  local session = self:session()
  return session and vim.list_extend({ session }, children.below(self.children, session.id)) or {}
end

---@param session_id string
---@return boolean
function Chat:shows(session_id)
  return vim.iter(self:shown()):any(function(session)
    return session.id == session_id
  end)
end

---Records that wait for the user in what is shown, the oldest first.
---@param field 'pending'|'questions' Permissions or questions
---@return lsp_agent.Json[]
function Chat:waiting_for(field)
  local records = {}
  for _, session in ipairs(self:shown()) do
    vim.list_extend(records, session[field])
  end
  table.sort(records, function(a, b)
    return a.createdAt < b.createdAt or a.createdAt == b.createdAt and a.requestId < b.requestId
  end)
  return records
end

---What looks up the sub-agents of a tool call.
---@return fun(tool_call_id: string): lsp_agent.Session[]
function Chat:children_of()
  return function(tool_call_id)
    return children.of_tool(self.children, tool_call_id)
  end
end

---Call `go` once the server is there and the last session is attached; starts the server when it does not run.
---@param go fun()?
---@param lost fun()? Called instead when the server cannot be started
function Chat:when_ready(go, lost)
  require('lsp_agent.connecting').when_ready(self, go, lost)
end

---Send a request; `done` gets the result. An error is told to the user unless `failed` takes it.
---@param method string
---@param params lsp_agent.Json
---@param done fun(result: lsp_agent.Json)?
---@param failed fun(err: table)?
---@param bufnr integer? Whose pending changes go first; default: the current buffer
function Chat:request(method, params, done, failed, bufnr)
  local client = self:client()
  if not client then
    return vim.notify('lsp-agent: the server is not running', vim.log.levels.WARN)
  end
  client:request(method, next(params) and params or vim.empty_dict(), function(err, result)
    if err then
      return failed and failed(err) or errors.report(err, method:match('[^/]+$'))
    end
    return done and done(fold.without_null(result))
  end, bufnr)
end

---Ask something about the session that is shown; does nothing but say so when there is none.
---@param method string
---@param params lsp_agent.Json
---@param done fun(result: lsp_agent.Json)?
function Chat:in_session(method, params, done)
  self:when_ready(function()
    if not self.current then
      return vim.notify('lsp-agent: no session yet; ask something first')
    end
    self:request(method, vim.tbl_extend('force', { sessionId = self.current }, params), done)
  end)
end

---Show a session (nil: an empty one that begins with the next prompt).
---@param session_id string?
function Chat:show(session_id)
  self.current = session_id
  if session_id and not self.sessions[session_id] then
    self.sessions[session_id] = fold.new(session_id)
  end
  memory.remember(self.root, session_id)
  self.view:render()
  require('lsp_agent.status').changed()
end

---Join a session's stream where we left it, or with a snapshot, and show it.
---@param session_id string
---@param done fun()?
function Chat:attach(session_id, done)
  self:join(session_id, { show = true }, done)
end

---@class lsp_agent.JoinOptions
---@field show boolean? Show it; else only what is shown already is drawn anew
---@field anew boolean? As it is now, whatever we know of it: its conversation was taken back

---Join a session's stream.
---@param session_id string
---@param options lsp_agent.JoinOptions
---@param done fun()?
function Chat:join(session_id, options, done)
  local known = not options.anew and self.sessions[session_id] or nil
  local after = known and known.seq > 0 and known.seq or nil
  self:request('agent/session/attach', { sessionId = session_id, afterSeq = after }, function(result)
    self.sessions[session_id] = restoring.attached(known or fold.new(session_id), result)
    if options.show or session_id == self.current then
      self:show(session_id)
    end
    self:read_on(session_id, vim.tbl_get(result, 'snapshot', 'nextCursor'))
    self:join_children(session_id)
    self:describe(session_id)
    if config.get().signs then
      require('lsp_agent.changes').load(self, session_id)
    end
    self:request('agent/queue', { sessionId = session_id }, function(queue)
      self.sessions[session_id].queue = queue
      require('lsp_agent.status').changed()
    end)
    return done and done()
  end, function(err)
    if errors.kind(err) == 'SessionNotFound' then
      self:forget(session_id)
    else
      errors.report(err, 'attach')
    end
    return done and done()
  end)
end

---Ask for the options in force: no event tells what a session has begun with.
---@param session_id string
function Chat:describe(session_id)
  self:request('agent/session/get', { sessionId = session_id }, function(info)
    local session = self.sessions[session_id]
    if session then
      session.options = info.options or session.options
      require('lsp_agent.status').changed()
    end
  end, function() end) -- it was deleted meanwhile
end

---Sub-agents are sessions of their own: what they have done so far is asked of each.
---@param session_id string
function Chat:join_children(session_id)
  for _, place in ipairs(restoring.children_of(self.sessions[session_id])) do
    local known = self.children[place.sessionId]
    local after = known and known.session.seq or 0
    self:request('agent/session/attach', { sessionId = place.sessionId, afterSeq = after }, function(result)
      local held = self.sessions[session_id] and self.sessions[session_id].tools[place.toolCallId]
      if not held then
        return
      end
      local child = restoring.attached(known and known.session or fold.new(place.sessionId), result)
      local parent = { sessionId = session_id, toolCallId = place.toolCallId }
      self.children[place.sessionId] = { session = child, parent = parent }
      if session_id == self.current then
        self.view:take({ op = 'tool', id = held.message.id, tool = held.tool.id })
      end
    end, function() end) -- a call that never began has none
  end
end

---A session there is no more.
---@param session_id string
function Chat:forget(session_id)
  self.sessions[session_id] = nil
  if self.current == session_id or memory.session(self.root) == session_id then
    self:show(nil)
  end
end

---The rest of a long session, a page at a time.
---@param session_id string
---@param cursor string?
function Chat:read_on(session_id, cursor)
  if not cursor then
    return
  end
  self:request('agent/session/read', { sessionId = session_id, cursor = cursor, limit = 500 }, function(page)
    restoring.load(self.sessions[session_id], page.messages)
    if self.current == session_id then
      self.view:render()
    end
    self:read_on(session_id, page.nextCursor)
  end)
end

---@param params lsp_agent.Event
function Chat:event(params)
  require('lsp_agent.incoming').event(self, params)
end

---@param params lsp_agent.Json
function Chat:complete(params)
  require('lsp_agent.incoming').complete(self, params)
end

---Send a prompt. The session begins with the first one.
---@param prompt string
---@param options lsp_agent.AskOptions?
---@param accepted fun(result: lsp_agent.Json)?
function Chat:ask(prompt, options, accepted)
  require('lsp_agent.sending').ask(self, prompt, options, accepted)
end

---Stop what runs and what waits in the session that is shown.
function Chat:stop()
  if self.current and self:client() then
    self:request('agent/cancel', { sessionId = self.current })
  end
end

return M
