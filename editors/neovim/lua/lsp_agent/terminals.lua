-- The commands of a session while they run: which call each belongs to, and what they say. Pure, a part of the fold.

local M = {}

---What is kept of a command's output while it runs: the end. The whole of it comes with its result.
local KEPT_BYTES = 64000

---The end of a text, cut between two characters.
---@param text string
---@return string
local function ending(text)
  if #text <= KEPT_BYTES then
    return text
  end
  local cut = text:sub(-KEPT_BYTES)
  return (cut:gsub('^[\128-\191]+', ''))
end

---@type table<string, lsp_agent.Handler> By `sessionUpdate`
M.HANDLERS = {}

function M.HANDLERS.terminal_update(session, update)
  local held = session.tools[update.toolCallId]
  if not held then
    return {}
  end
  if update.status == 'running' then
    held.tool.terminal = update.terminalId
    session.terminals[update.terminalId] = held
  else
    held.tool.terminal = nil
    session.terminals[update.terminalId] = nil
  end
  return { { op = 'tool', id = held.message.id, tool = held.tool.id } }
end

function M.HANDLERS.terminal_output_chunk(session, update)
  local held = session.terminals[update.terminalId]
  local said = type(update.content) == 'table' and update.content.text
  -- what comes after the result of its call is not shown
  if not held or type(said) ~= 'string' or held.tool.status ~= 'in_progress' then
    return {}
  end
  local tool = held.tool
  table.insert(tool.pieces, said)
  tool.unread = (tool.unread or #tool.output) + #said
  if tool.unread > 2 * KEPT_BYTES then
    tool.output, tool.pieces = ending(tool.output .. table.concat(tool.pieces)), {}
    tool.unread = #tool.output
  end
  return { { op = 'tool', id = held.message.id, tool = tool.id } }
end

return M
