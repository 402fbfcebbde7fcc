-- Prompts on their way. One that was not answered when the server died is sent again, with the same run id: the server
-- runs it once. One that cannot be sent goes back into the input.

local config = require('lsp_agent.config')
local errors = require('lsp_agent.errors')
local memory = require('lsp_agent.memory')

local M = {}

---@class (exact) lsp_agent.Unanswered
---@field prompt string
---@field params lsp_agent.Json
---@field bufnr integer?
---@field accepted fun(result: lsp_agent.Json)?

---@class lsp_agent.AskOptions
---@field attachments (lsp_agent.Json[] | fun(): lsp_agent.Json[])? A function is called once the server is there
---@field bufnr integer? The file the prompt is about
---@field when_busy string?

---@param chat lsp_agent.Chat
---@param prompt string
local function give_back(chat, prompt)
  require('lsp_agent.input').give_back(chat, prompt)
end

---What was chosen before there was a session counts for all of it, not for its first run alone.
---@param chat lsp_agent.Chat
local function settle(chat)
  local chosen = chat.next_options
  chat.next_options = {}
  for name, option_id in pairs({ mode = 'mode', model = 'model.large' }) do
    if chosen[name] then
      local params = { sessionId = chat.current, optionId = option_id, value = chosen[name] }
      chat:request('agent/session/configure', params)
    end
  end
end

---@param chat lsp_agent.Chat
---@param run_id string
local function deliver(chat, run_id)
  local sent = chat.unanswered[run_id]
  chat:request('agent/run', sent.params, function(result)
    chat.unanswered[run_id] = nil
    if result.sessionId ~= chat.current and not sent.params.sessionId then
      chat:show(result.sessionId)
      settle(chat)
    end
    return sent.accepted and sent.accepted(result)
  end, function(err)
    chat.unanswered[run_id] = nil
    errors.report(err, 'run')
    give_back(chat, sent.prompt)
  end, sent.bufnr)
end

---@param options lsp_agent.AskOptions
---@return lsp_agent.Json[]?
local function attached(options)
  local made = options.attachments
  if type(made) == 'function' then
    made = made()
  end
  return made and #made > 0 and made or nil
end

---Send a prompt. The session begins with the first one.
---@param chat lsp_agent.Chat
---@param prompt string
---@param options lsp_agent.AskOptions?
---@param accepted fun(result: lsp_agent.Json)?
function M.ask(chat, prompt, options, accepted)
  options = options or {}
  chat:when_ready(function()
    local run_id = memory.uuid()
    local params = {
      sessionId = chat.current,
      runId = run_id,
      prompt = prompt,
      attachments = attached(options),
      whenBusy = options.when_busy or config.get().when_busy,
      options = not chat.current and next(chat.next_options) and chat.next_options or nil,
    }
    chat.unanswered[run_id] = { prompt = prompt, params = params, bufnr = options.bufnr, accepted = accepted }
    deliver(chat, run_id)
  end, function()
    give_back(chat, prompt)
  end)
end

---Put a prompt into the running turn: the model sees it with its next request. When nothing runs it is a turn of its
---own.
---@param chat lsp_agent.Chat
---@param prompt string
---@param options lsp_agent.AskOptions?
function M.steer(chat, prompt, options)
  options = options or {}
  chat:when_ready(function()
    local session = chat:session()
    local run_id = session and session.active_run
    if not run_id then
      return M.ask(chat, prompt, options)
    end
    local params = { sessionId = chat.current, expectedRunId = run_id, prompt = prompt, otherwise = 'queue' }
    params.attachments = attached(options)
    chat:request('agent/steer', params, function(result)
      vim.notify('lsp-agent: ' .. (result.state == 'pending' and 'the turn takes it in' or 'waits its turn'))
    end, function(err)
      errors.report(err, 'steer')
      give_back(chat, prompt)
    end, options.bufnr)
  end, function()
    give_back(chat, prompt)
  end)
end

---The server is back: what it has not answered is sent again.
---@param chat lsp_agent.Chat
function M.again(chat)
  for _, run_id in ipairs(vim.tbl_keys(chat.unanswered)) do
    deliver(chat, run_id)
  end
end

---The server will not come back: what it has not answered goes to the input.
---@param chat lsp_agent.Chat
function M.give_up(chat)
  local lost = chat.unanswered
  chat.unanswered = {}
  for _, sent in pairs(lost) do
    give_back(chat, sent.prompt)
  end
end

return M
