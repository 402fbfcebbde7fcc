-- What waits for the user's decision, permissions and questions, in the fold of a session. Pure, like the fold.

local M = {}

---@param value any
---@return any
local function present(value)
  return value ~= vim.NIL and value or nil
end

---@param records lsp_agent.Json[]
---@param request_id string
local function forget(records, request_id)
  for index = #records, 1, -1 do
    if records[index].requestId == request_id then
      table.remove(records, index)
    end
  end
end

---@param update lsp_agent.Json
---@return lsp_agent.Json
local function record_of(update)
  local record = {}
  for key, value in pairs(update) do
    record[key] = key ~= 'sessionUpdate' and present(value) or nil
  end
  return record
end

---@param op 'permission'|'question'
---@param field 'pending'|'questions'
---@return lsp_agent.Handler requested
---@return lsp_agent.Handler resolved
local function pair(op, field)
  return function(session, update)
    local record = record_of(update)
    forget(session[field], record.requestId)
    table.insert(session[field], record)
    return { { op = op, id = record.requestId, value = record } }
  end, function(session, update)
    forget(session[field], update.requestId)
    local answer = { outcome = update.outcome, by = present(update.resolvedBy) }
    return { { op = op, id = update.requestId, value = answer } }
  end
end

local permission_requested, permission_resolved = pair('permission', 'pending')
local question_requested, question_resolved = pair('question', 'questions')

---@type table<string, lsp_agent.Handler> By `sessionUpdate`
M.HANDLERS = {
  permission_requested = permission_requested,
  permission_resolved = permission_resolved,
  question_requested = question_requested,
  question_resolved = question_resolved,
}

---What an answer says, as a word: `allow once`, `accept`, `cancelled` …
---@param answer { outcome: any, by: string? }
---@return string word
---@return boolean agreed
function M.said(answer)
  local outcome = type(answer.outcome) == 'table' and answer.outcome or { type = answer.outcome }
  local word = tostring(present(outcome.optionId) or present(outcome.type) or 'resolved'):gsub('_', ' ')
  return word, word:match('^allow') ~= nil or word == 'accept'
end

return M
