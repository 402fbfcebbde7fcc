-- Prompts on their way. One that was not answered when the server died is sent again, with the same run id: the server
-- runs it once. What cannot be sent goes back into the input, and so does what nobody knows whether it was taken in.

local config = require('lsp_agent.config')
local errors = require('lsp_agent.errors')
local memory = require('lsp_agent.memory')

local M = {}

---@class (exact) lsp_agent.Unanswered
---@field number integer? In the order they were sent
---@field prompt string
---@field params lsp_agent.Json
---@field once boolean? Not to be sent again: the server would not know that it is the same
---@field bufnr integer?
---@field accepted fun(result: lsp_agent.Json)?

---@type integer
local sent_so_far = 0

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

---Prompts that wait for the answer to another one.
---@param chat lsp_agent.Chat
local function go_on(chat)
  local behind = chat.behind
  chat.behind = {}
  for _, item in ipairs(behind) do
    item.go()
  end
end

---@param chat lsp_agent.Chat
---@return lsp_agent.Unanswered[] In the order they were sent
local function in_order(chat)
  local list = vim.tbl_values(chat.unanswered)
  table.sort(list, function(a, b)
    return a.number < b.number
  end)
  return list
end

---@param chat lsp_agent.Chat
---@param key string
---@param sent lsp_agent.Unanswered
local function keep(chat, key, sent)
  sent_so_far = sent_so_far + 1
  sent.number = sent.number or sent_so_far
  chat.unanswered[key] = sent
end

---@param chat lsp_agent.Chat
---@param sent lsp_agent.Unanswered
local function deliver(chat, sent)
  local run_id = sent.params.runId
  keep(chat, run_id, sent)
  chat:request('agent/run', sent.params, function(result)
    chat.unanswered[run_id] = nil
    if result.sessionId ~= chat.current and not sent.params.sessionId then
      chat:show(result.sessionId)
      settle(chat)
      chat:describe(result.sessionId)
    end
    go_on(chat)
    return sent.accepted and sent.accepted(result)
  end, function(err)
    chat.unanswered[run_id] = nil
    errors.report(err, 'run')
    give_back(chat, sent.prompt)
    go_on(chat)
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

---Whether a prompt is on its way that makes a session: the next one belongs to that.
---@param chat lsp_agent.Chat
---@return boolean
local function begins(chat)
  return not chat.current
    and vim.iter(in_order(chat)):any(function(sent)
      return not sent.once and not sent.params.sessionId
    end)
end

---Send a prompt. The session begins with the first one.
---@param chat lsp_agent.Chat
---@param prompt string
---@param options lsp_agent.AskOptions?
---@param accepted fun(result: lsp_agent.Json)?
function M.ask(chat, prompt, options, accepted)
  options = options or {}
  local function lost()
    give_back(chat, prompt)
  end
  chat:when_ready(function()
    if begins(chat) then
      local function go()
        M.ask(chat, prompt, options, accepted)
      end
      return table.insert(chat.behind, { go = go, lost = lost })
    end
    local params = {
      sessionId = chat.current,
      runId = memory.uuid(),
      prompt = prompt,
      attachments = attached(options),
      whenBusy = options.when_busy or config.get().when_busy,
      options = not chat.current and next(chat.next_options) and chat.next_options or nil,
    }
    deliver(chat, { prompt = prompt, params = params, bufnr = options.bufnr, accepted = accepted })
  end, lost)
end

---Hold on to a text until `answered` is called: it goes back into the input should the server die before.
---@param chat lsp_agent.Chat
---@param text string
---@return fun() answered
function M.hold(chat, text)
  local key = memory.uuid()
  keep(chat, key, { prompt = text, params = {}, once = true })
  return function()
    chat.unanswered[key] = nil
  end
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
    local answered = M.hold(chat, prompt)
    chat:request('agent/steer', params, function(result)
      answered()
      vim.notify('lsp-agent: ' .. (result.state == 'pending' and 'the turn takes it in' or 'waits its turn'))
    end, function(err)
      answered()
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
  local unanswered = in_order(chat)
  chat.unanswered = {}
  for _, sent in ipairs(unanswered) do
    if sent.once then
      give_back(chat, sent.prompt)
    else
      deliver(chat, sent)
    end
  end
end

---The server will not come back: what it has not answered goes to the input.
---@param chat lsp_agent.Chat
function M.give_up(chat)
  local unanswered, behind = in_order(chat), chat.behind
  chat.unanswered, chat.behind = {}, {}
  for _, sent in ipairs(unanswered) do
    give_back(chat, sent.prompt)
  end
  for _, item in ipairs(behind) do
    item.lost()
  end
end

return M
