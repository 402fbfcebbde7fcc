-- Which lines the chat shows for an effect: looks up what it is about and leaves the writing to `blocks`.

local blocks = require('lsp_agent.blocks')
local config = require('lsp_agent.config')

local M = {}

---A permission or a question: what is asked, or how it was answered.
---@param view lsp_agent.View
---@param effect lsp_agent.Effect
---@return string[]
local function decision(view, effect)
  if effect.value.requestId then
    view.asked[effect.id] = effect.value.title or effect.value.message
    return blocks[effect.op](effect.value, config.get().keys, view.chat.root)
  end
  return blocks.answered(view.asked[effect.id] or effect.op, effect.value)
end

---The lines of an effect's block; nil when there is nothing to show.
---@param view lsp_agent.View
---@param effect lsp_agent.Effect
---@return string[]?
function M.of(view, effect)
  local session = view.chat:session()
  if not session then
    return nil
  end
  if effect.op == 'message' and effect.id == '' then
    return { '# ' .. (session.title ~= '' and session.title or 'New session') }
  elseif effect.op == 'plan' then
    return blocks.plan(session.plan)
  elseif effect.op == 'tool' then
    local held = session.tools[effect.tool]
    return held and blocks.tool(held.tool, view.chat:children_of())
  elseif effect.op == 'permission' or effect.op == 'question' then
    return decision(view, effect)
  elseif effect.op == 'notice' or effect.op == 'complete' then
    return blocks[effect.op](effect.value)
  end
  local message = session.messages[effect.id]
  return message and blocks[effect.op](message)
end

return M
