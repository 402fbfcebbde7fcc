-- Moments of a session one can go back to: its files, its conversation, or both.

local M = {}

---@param checkpoint lsp_agent.Json
---@return string
local function line_of(checkpoint)
  local when = (checkpoint.createdAt or ''):sub(1, 19):gsub('T', ' ')
  return ('%s  %s'):format(when, checkpoint.title or checkpoint.kind or 'checkpoint')
end

---@type table<string, string> By root: the checkpoint that takes the last restore back
local before_restore = {}

---@type table<string, string[]> By root: the checkpoints that were listed last
local listed = {}

local WHAT = {
  { name = 'Files and conversation', files = true, conversation = true },
  { name = 'Files only', files = true, conversation = false },
  { name = 'Conversation only', files = false, conversation = true },
}

---@param chat lsp_agent.Chat
---@param checkpoint_id string
---@param what { files: boolean, conversation: boolean }
local function restore(chat, checkpoint_id, what)
  local params = { checkpointId = checkpoint_id, files = what.files, conversation = what.conversation }
  chat:request('agent/checkpoint/restore', params, function(result)
    before_restore[chat.root] = result.undoCheckpointId
    local kept = #(result.conflicts or {})
    local more = kept > 0 and (' %d changes were edited since and stay.'):format(kept) or ''
    vim.notify('lsp-agent: restored.' .. more .. ' :Agent restore takes it back')
    -- what became of the conversation is told by an event, to everyone who shows the session
    if chat.current and what.files and require('lsp_agent.config').get().signs then
      require('lsp_agent.changes').load(chat, chat.current)
    end
  end)
end

---Checkpoints that can be named: those listed last, and the one that takes the last restore back.
---@param chat lsp_agent.Chat
---@return string[]
function M.ids(chat)
  local ids = vim.list_extend({}, listed[chat.root] or {})
  if before_restore[chat.root] and not vim.list_contains(ids, before_restore[chat.root]) then
    table.insert(ids, before_restore[chat.root])
  end
  return ids
end

---Pick a checkpoint, and what of it; nothing happens before both are chosen.
---@param chat lsp_agent.Chat
function M.pick(chat)
  chat:in_session('agent/checkpoint/list', {}, function(result)
    if #result.checkpoints == 0 then
      return vim.notify('lsp-agent: no checkpoints yet')
    end
    listed[chat.root] = vim.tbl_map(function(checkpoint)
      return checkpoint.checkpointId
    end, result.checkpoints)
    local options = { prompt = 'Go back to', kind = 'lsp_agent_checkpoint', format_item = line_of }
    vim.ui.select(result.checkpoints, options, function(checkpoint)
      if not checkpoint then
        return
      end
      M.restore(chat, checkpoint.checkpointId)
    end)
  end)
end

---Go back to a checkpoint; without an id: to before the last restore.
---@param chat lsp_agent.Chat
---@param checkpoint_id string?
function M.restore(chat, checkpoint_id)
  if not chat.abilities.checkpoint then
    return vim.notify('lsp-agent: this server keeps no checkpoints')
  end
  local id = checkpoint_id ~= '' and checkpoint_id or before_restore[chat.root]
  if not id then
    return M.pick(chat)
  end
  local options = {
    prompt = 'Restore',
    kind = 'lsp_agent_restore',
    format_item = function(item)
      return item.name
    end,
  }
  vim.ui.select(WHAT, options, function(what)
    if what then
      restore(chat, id, what)
    end
  end)
end

return M
