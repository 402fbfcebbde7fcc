-- Updates that replace one value of a session: plan, usage, queue, options, its title, notices. Pure, part of the fold.

local M = {}

local MAX_NOTICES = 200

---A value as Lua knows it: JSON's null is nil.
---@generic T
---@param value T
---@return T?
function M.present(value)
  if value == vim.NIL then
    return nil
  end
  return value
end
local present = M.present

---Take every null out of a value, however deep. Neovim 0.11 drops them itself, 0.12 hands them on.
---@generic T
---@param value T
---@return T the same table
function M.without_null(value)
  if type(value) == 'table' then
    for key, item in pairs(value) do
      if item == vim.NIL then
        value[key] = nil
      elseif type(item) == 'table' then
        M.without_null(item)
      end
    end
  end
  return value
end

---@type table<string, lsp_agent.Handler> By `sessionUpdate`
M.HANDLERS = {}

function M.HANDLERS.plan_update(session, update)
  session.plan = update.entries or {}
  return { { op = 'plan' } }
end

function M.HANDLERS.usage_update(session, update)
  session.usage = {
    usedTokens = update.usedTokens,
    contextWindow = update.contextWindow,
    costUsd = update.costUsd,
    estimated = update.estimated,
  }
  return { { op = 'usage' } }
end

function M.HANDLERS.state_update(session, update, event)
  session.state = update.state
  session.active_run = update.state ~= 'idle' and (present(event.runId) or session.active_run) or nil
  return { { op = 'state' } }
end

function M.HANDLERS.queue_update(session, update)
  if update.revision < (session.queue.revision or 0) then
    return {} -- the answer to a later change came before this was stored and told
  end
  local items = update.items or {}
  session.queue = { revision = update.revision, count = update.count or #items, items = items }
  return { { op = 'queue' } }
end

function M.HANDLERS.changes_update(session, update)
  for _, file in ipairs(update.files or {}) do
    table.insert(session.changes, file)
  end
  return { { op = 'changes', value = update.files or {} } }
end

function M.HANDLERS.session_info_update(session, update)
  if update.title ~= nil then
    session.title = present(update.title) or ''
  end
  local effects = { { op = 'title' } }
  if present(update.todos) then
    session.plan = update.todos
    effects[2] = { op = 'plan' }
  end
  -- a conversation that was taken back; where nulls are dropped only the count tells that nothing is left of it
  if update.lastMessageId ~= nil or present(update.messageCount) then
    effects[#effects + 1] = { op = 'rewound' }
  end
  return effects
end

function M.HANDLERS.config_option_update(session, update)
  session.options = update.options or {}
  return { { op = 'options' } }
end

function M.HANDLERS.compaction_update(_, update)
  return { { op = 'compaction', value = update.status } }
end

function M.HANDLERS.notice(session, update)
  local notice = { level = update.level, code = update.code, message = update.message }
  table.insert(session.notices, notice)
  if #session.notices > MAX_NOTICES then
    table.remove(session.notices, 1)
  end
  return { { op = 'notice', value = notice } }
end

function M.HANDLERS.resync(_, update)
  return { { op = 'resync', value = update.afterSeq } }
end

return M
