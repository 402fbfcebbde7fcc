-- Sub-agents: each is a session of its own whose events name the tool call it works for. Pure: which child belongs to
-- which tool call, and a fold of each.

local fold = require('lsp_agent.session')

local M = {}

---@class (exact) lsp_agent.Child
---@field session lsp_agent.Session
---@field parent { sessionId: string, toolCallId: string }

---@alias lsp_agent.Children table<string, lsp_agent.Child>

---The session at the top, and the tool call there that everything below belongs to.
---@param children lsp_agent.Children
---@param child lsp_agent.Child
---@return string session_id
---@return string tool_call_id
local function top(children, child)
  local seen = {}
  while children[child.parent.sessionId] and not seen[child] do
    seen[child] = true
    child = children[child.parent.sessionId]
  end
  return child.parent.sessionId, child.parent.toolCallId
end

---Take in an event of a child.
---@param children lsp_agent.Children
---@param event lsp_agent.Event
---@return string? root_id nil when it is no child's event
---@return string tool_call_id Of the root
---@return lsp_agent.Effect[]
function M.take(children, event)
  local child = children[event.sessionId]
  if not child then
    if type(event.parent) ~= 'table' or event.parent.sessionId == event.sessionId then
      return nil, '', {}
    end
    child = { session = fold.new(event.sessionId), parent = event.parent }
    children[event.sessionId] = child
  end
  local effects = fold.apply(child.session, event)
  local root_id, tool_call_id = top(children, child)
  return root_id, tool_call_id, effects
end

---The children of a tool call, in the order they began.
---@param children lsp_agent.Children
---@param tool_call_id string
---@return lsp_agent.Session[]
function M.of_tool(children, tool_call_id)
  local found = {}
  for _, child in pairs(children) do
    if child.parent.toolCallId == tool_call_id then
      found[#found + 1] = child.session
    end
  end
  table.sort(found, function(a, b)
    return a.id < b.id
  end)
  return found
end

---The children below a session, however deep.
---@param children lsp_agent.Children
---@param root_id string
---@return lsp_agent.Session[]
function M.below(children, root_id)
  local found = {}
  for _, child in pairs(children) do
    if top(children, child) == root_id then
      found[#found + 1] = child.session
    end
  end
  return found
end

return M
