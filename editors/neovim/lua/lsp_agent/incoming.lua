-- What comes in by itself: events and ends of runs, folded, shown, and told to whoever else has to do with them.

local children = require('lsp_agent.children')
local config = require('lsp_agent.config')
local fold = require('lsp_agent.session')

local M = {}

---What an effect means outside the chat buffer.
---@type table<string, fun(chat: lsp_agent.Chat, session: lsp_agent.Session, effect: lsp_agent.Effect)>
local outside = {
  resync = function(chat, session)
    if chat.sessions[session.id] then
      chat:join(session.id, {})
    end
  end,
  rewound = function(chat, session)
    if chat.sessions[session.id] then
      chat:join(session.id, { anew = true })
    end
  end,
  tool = function(chat, session, effect)
    local held = session.id == chat.current and session.tools[effect.tool] or nil
    if held and not effect.append then
      require('lsp_agent.following').go(held.tool)
    end
  end,
  changes = function(chat, session, effect)
    if config.get().signs then
      require('lsp_agent.changes').add(chat, session.id, effect.value)
    end
  end,
  permission = function(chat, _, effect)
    if effect.value.requestId then
      require('lsp_agent.permission').asked(chat, effect.value)
    end
  end,
  question = function(chat, _, effect)
    local questions = require('lsp_agent.questions')
    if effect.value.requestId then
      return questions.asked(chat, effect.value)
    end
    questions.resolved(chat, effect.id)
  end,
  notice = function(_, _, effect)
    if effect.value.level == 'error' then
      vim.notify('lsp-agent: ' .. effect.value.message, vim.log.levels.ERROR)
    end
  end,
}

---@param chat lsp_agent.Chat
---@param session lsp_agent.Session
---@param effects lsp_agent.Effect[]
---@param show fun(effect: lsp_agent.Effect)?
local function spread(chat, session, effects, show)
  for _, effect in ipairs(effects) do
    if show then
      show(effect)
    end
    if outside[effect.op] then
      outside[effect.op](chat, session, effect)
    end
    if not effect.append then
      require('lsp_agent.status').changed()
    end
  end
end

---@param chat lsp_agent.Chat
---@param session lsp_agent.Session
---@return (fun(effect: lsp_agent.Effect))? show nil when another session is shown
local function shower(chat, session)
  return session.id == chat.current and function(effect)
    chat.view:take(effect)
  end or nil
end

---An event of a sub-agent: shown in the tool call it works for; what it asks is asked in the chat.
---@param chat lsp_agent.Chat
---@param params lsp_agent.Event
local function of_child(chat, params)
  local root_id, tool_call_id, effects = children.take(chat.children, params)
  local root = root_id and chat.sessions[root_id]
  if not root then
    return
  end
  local held = root_id == chat.current and root.tools[tool_call_id] or nil
  spread(chat, chat.children[params.sessionId].session, effects, held and function(effect)
    if effect.op == 'permission' or effect.op == 'question' then
      chat.view:take(effect)
    else
      chat.view:take({ op = 'tool', id = held.message.id, tool = tool_call_id })
    end
  end)
end

---Take in `agent/event`.
---@param chat lsp_agent.Chat
---@param params lsp_agent.Event
function M.event(chat, params)
  local session = chat.sessions[params.sessionId]
  if not session then
    return of_child(chat, params)
  end
  spread(chat, session, fold.apply(session, params), shower(chat, session))
end

---Take in `agent/runComplete`.
---@param chat lsp_agent.Chat
---@param params lsp_agent.Json
function M.complete(chat, params)
  local session = chat.sessions[params.sessionId]
  if session then
    chat.crashes = 0
    spread(chat, session, fold.complete(session, params), shower(chat, session))
    vim.api.nvim_exec_autocmds('User', { pattern = 'LspAgentRunComplete', modeline = false, data = params })
  end
end

return M
