-- The chat buffer: an ordinary markdown buffer that grows. Each thing of the view model is a block of lines with an
-- extmark at its start; text that streams is appended to its block, nothing else is touched. What arrives within one
-- frame is written at once.

local blocks = require('lsp_agent.blocks')

local NAMESPACE = vim.api.nvim_create_namespace('lsp_agent_chat')
local COLOURS = vim.api.nvim_create_namespace('lsp_agent_chat_diff')
local FRAME_MS = 40 -- nobody reads faster, and between two of them the editor is the user's

---@class lsp_agent.Block
---@field key string
---@field owner string The message, or the block's own key
---@field mark integer
---@field count integer Lines; at least 1

---@class lsp_agent.View
---@field chat lsp_agent.Chat
---@field bufnr integer?
---@field blocks lsp_agent.Block[] From top to bottom
---@field by_key table<string, lsp_agent.Block>
---@field todo { key: string, effect: lsp_agent.Effect, pieces: string[]?, whole: boolean }[]
---@field todo_by_key table<string, { key: string, effect: lsp_agent.Effect, pieces: string[]?, whole: boolean }>
---@field scheduled boolean
---@field extra integer Number of the last notice
---@field flushed_ms integer When something was written last
---@field asked table<string, string> What was asked, by request
---@field tick integer The buffer's changedtick after what we wrote last
local View = {}
View.__index = View

local M = {}

---@param chat lsp_agent.Chat
---@return lsp_agent.View
function M.new(chat)
  return setmetatable({
    chat = chat,
    blocks = {},
    by_key = {},
    todo = {},
    todo_by_key = {},
    scheduled = false,
    extra = 0,
    asked = {},
    flushed_ms = 0,
    tick = 0,
  }, View)
end

---The chat's buffer, made when there is none.
---@return integer
function View:buffer()
  if self:is_there() then
    return self.bufnr --[[@as integer]]
  elseif self.bufnr and vim.api.nvim_buf_is_valid(self.bufnr) then
    vim.api.nvim_buf_delete(self.bufnr, { force = true }) -- unloaded by the user: its options and keys went with it
  end
  local bufnr = vim.api.nvim_create_buf(false, true)
  self.bufnr = bufnr
  vim.api.nvim_buf_set_name(bufnr, 'agent://chat' .. self.chat.root)
  vim.bo[bufnr].bufhidden = 'hide'
  vim.bo[bufnr].undolevels = -1
  vim.b[bufnr].lsp_agent_root = self.chat.root
  vim.bo[bufnr].filetype = 'markdown'
  -- incremental; the regular expressions of 'syntax' take 35 ms a redraw at the end of a long answer
  pcall(vim.treesitter.start, bufnr, 'markdown')
  vim.bo[bufnr].modifiable = false
  require('lsp_agent.windows').chat_keys(self.chat, bufnr)
  self:render()
  return bufnr
end

---True when there is a buffer to write in. The user may have wiped it.
---@return boolean
function View:is_there()
  return self.bufnr ~= nil and vim.api.nvim_buf_is_loaded(self.bufnr)
end

---True when a window of this tab page shows the chat.
---@return boolean
function View:is_visible()
  return self:is_there() and require('lsp_agent.windows').showing(self.bufnr --[[@as integer]]) ~= nil
end

---Key of the block an effect is about, and the message it belongs to; nil when the chat does not show it.
---@param effect lsp_agent.Effect
---@return string? key
---@return string? owner
local function key_of(self, effect)
  if effect.op == 'message' or effect.op == 'text' or effect.op == 'thought' then
    return effect.op .. ':' .. effect.id, effect.id
  elseif effect.op == 'tool' then
    return 'tool:' .. effect.tool, effect.id
  elseif effect.op == 'plan' then
    return 'plan', nil
  elseif effect.op == 'permission' or effect.op == 'question' then
    return effect.op .. ':' .. effect.id, nil
  elseif effect.op == 'notice' or effect.op == 'complete' then
    self.extra = self.extra + 1
    return ('%s:%d'):format(effect.op, self.extra), nil
  end
end

---Take in an effect; it is written with the next frame.
---@param effect lsp_agent.Effect
function View:take(effect)
  if effect.op == 'title' then
    effect = { op = 'message', id = '' }
  end
  local key = key_of(self, effect)
  if not key or not self:is_there() then
    return
  end
  if (effect.op == 'permission' or effect.op == 'question') and effect.value.requestId then
    self.asked[effect.id] = effect.value.title or effect.value.message -- its answer may come before it is written
  end
  local held = self.todo_by_key[key]
  if not held then
    held = { key = key, effect = effect, pieces = effect.append and {} or nil, whole = not effect.append }
    self.todo_by_key[key] = held
    table.insert(self.todo, held)
  elseif not effect.append then
    held.effect, held.whole, held.pieces = effect, true, nil
  end
  if held.pieces and effect.append then
    table.insert(held.pieces, effect.append)
  end
  if not self.scheduled then
    self.scheduled = true
    vim.defer_fn(function()
      self:flush()
    end, math.max(self.flushed_ms + FRAME_MS - vim.uv.now(), 0))
  end
end

---Windows whose cursor is at the end: they follow.
---@param bufnr integer
---@return integer[]
local function followers(bufnr)
  local last = vim.api.nvim_buf_line_count(bufnr)
  return vim.tbl_filter(function(window)
    return vim.api.nvim_win_get_cursor(window)[1] >= last
  end, vim.fn.win_findbuf(bufnr))
end

---Change the buffer by `write`, keeping who follows at the end.
---@param write fun()
---@return boolean ok
function View:writing(write)
  local bufnr = self.bufnr --[[@as integer]]
  local follow = followers(bufnr)
  vim.bo[bufnr].modifiable = true
  local ok, problem = xpcall(write, debug.traceback)
  vim.bo[bufnr].modifiable = false
  vim.bo[bufnr].modified = false
  self.tick = vim.api.nvim_buf_get_changedtick(bufnr)
  for _, window in ipairs(follow) do
    vim.api.nvim_win_set_cursor(window, { vim.api.nvim_buf_line_count(bufnr), 0 })
  end
  if not ok then
    require('lsp_agent.log').write(vim.log.levels.ERROR, 'cannot show: ' .. tostring(problem))
  end
  return ok
end

---Write what has been taken in.
function View:flush()
  local todo = self.todo
  self.todo, self.todo_by_key, self.scheduled = {}, {}, false
  self.flushed_ms = vim.uv.now()
  if not self:is_there() or #todo == 0 then
    return
  elseif vim.api.nvim_buf_get_changedtick(self.bufnr) ~= self.tick then
    return self:render() -- somebody else wrote in it: nothing is where we put it
  end
  local ok = self:writing(function()
    for _, item in ipairs(todo) do
      local block = self.by_key[item.key]
      if item.whole or not block then
        self:put(item.key, item.effect)
      else
        self:append(block, table.concat(item.pieces), item.effect.op == 'thought' and blocks.THOUGHT_PREFIX or '')
      end
    end
  end)
  if not ok then
    self:render()
  end
end

---First line of a block, zero-based.
---@param block lsp_agent.Block
---@return integer
function View:row(block)
  return vim.api.nvim_buf_get_extmark_by_id(self.bufnr, NAMESPACE, block.mark, {})[1]
end

---@param block lsp_agent.Block
---@param text string
---@param prefix string
function View:append(block, text, prefix)
  local lines = vim.split(text, '\n', { plain = true })
  for index = 2, #lines do
    lines[index] = prefix .. lines[index]
  end
  local row = self:row(block) + block.count - 1
  vim.api.nvim_buf_set_text(self.bufnr, row, -1, row, -1, lines)
  block.count = block.count + #lines - 1
end

---What the block at the cursor of a window of the chat is about; nil when it is none of that kind, or when the cursor
---is at the end: there it follows what comes, and points to nothing.
---@param op string permission or question
---@return string? id
function View:at_cursor(op)
  local window = self:is_there() and require('lsp_agent.windows').showing(self.bufnr) or nil
  if not window then
    return nil
  end
  local row = vim.api.nvim_win_get_cursor(window)[1] - 1
  if row + 1 == vim.api.nvim_buf_line_count(self.bufnr) then
    return nil
  end
  for key, block in pairs(self.by_key) do
    local first = vim.startswith(key, op .. ':') and self:row(block) or nil
    if first and first <= row and row < first + block.count then
      return key:sub(#op + 2)
    end
  end
end

---Write lines over others, but only those that are different: a fold that the user opened stays open.
---@param bufnr integer
---@param row integer
---@param count integer
---@param lines string[]
local function replace(bufnr, row, count, lines)
  local old = vim.api.nvim_buf_get_lines(bufnr, row, row + count, false)
  local same, least = 0, math.min(#old, #lines)
  while same < least and old[same + 1] == lines[same + 1] do
    same = same + 1
  end
  local behind = 0
  while behind < least - same and old[#old - behind] == lines[#lines - behind] do
    behind = behind + 1
  end
  if same < #old or same < #lines then
    local changed = vim.list_slice(lines, same + 1, #lines - behind)
    vim.api.nvim_buf_set_lines(bufnr, row + same, row + #old - behind, false, changed)
  end
end

---Write a block anew, or for the first time.
---@param key string
---@param effect lsp_agent.Effect
function View:put(key, effect)
  if effect.op == 'plan' then
    self:remove(key) -- there is one, and it is where it was told last
  end
  local lines = require('lsp_agent.lines').of(self, effect)
  if not lines then
    return
  end
  for index, line in ipairs(lines) do
    lines[index] = (line:gsub('\n', ' '))
  end
  local block = self.by_key[key]
  local row
  if block then
    row = self:row(block)
    replace(self.bufnr, row, block.count, lines)
  else
    local _, owner = key_of(self, effect)
    block = { key = key, owner = owner or key, mark = 0, count = 0 }
    row = self:insert(block, lines)
    self.by_key[key] = block
  end
  block.count = #lines
  local id = block.mark ~= 0 and block.mark or nil
  block.mark = vim.api.nvim_buf_set_extmark(self.bufnr, NAMESPACE, row, 0, { id = id })
  if effect.op == 'permission' then
    vim.api.nvim_buf_clear_namespace(self.bufnr, COLOURS, row, row + #lines)
    self:colour(row, lines)
  end
end

---Take a block away.
---@param key string
function View:remove(key)
  local block = self.by_key[key]
  if not block then
    return
  end
  local row = self:row(block)
  vim.api.nvim_buf_del_extmark(self.bufnr, NAMESPACE, block.mark)
  vim.api.nvim_buf_set_lines(self.bufnr, row, row + block.count, false, {})
  self.by_key[key] = nil
  self.blocks = vim.tbl_filter(function(other)
    return other ~= block
  end, self.blocks)
end

---Colour the changed lines of a permission.
---@param row integer Of the block
---@param lines string[]
function View:colour(row, lines)
  local kinds = { ['-'] = 'DiffDelete', ['+'] = 'DiffAdd' }
  local is_diff = false
  for index, line in ipairs(lines) do
    local kind = is_diff and not vim.startswith(line, '---') and kinds[line:sub(1, 1)]
    if kind then
      local at = row + index - 1
      local options = { end_row = at, end_col = #line, hl_group = kind, priority = 200 }
      vim.api.nvim_buf_set_extmark(self.bufnr, COLOURS, at, 0, options)
    end
    is_diff = line == '```diff' or is_diff and line ~= '```'
  end
end

---Insert a new block after the last one of its message, at the end when that has none.
---@param block lsp_agent.Block
---@param lines string[]
---@return integer row
function View:insert(block, lines)
  local at = #self.blocks
  while at > 0 and self.blocks[at].owner ~= block.owner do
    at = at - 1
  end
  if at == 0 then
    at = #self.blocks
  end
  local previous = self.blocks[at]
  local row = previous and self:row(previous) + previous.count or 0
  table.insert(self.blocks, at + 1, block)
  if #self.blocks == 1 then
    vim.api.nvim_buf_set_lines(self.bufnr, 0, -1, false, lines)
  else
    vim.api.nvim_buf_set_lines(self.bufnr, row, row, false, lines)
  end
  return row
end

---Write the whole session: after an attach, or when another one is shown.
function View:render()
  if not self:is_there() then
    return
  end
  self.todo, self.todo_by_key = {}, {}
  local session = self.chat:session()
  self:writing(function()
    self.blocks, self.by_key = {}, {}
    vim.api.nvim_buf_clear_namespace(self.bufnr, NAMESPACE, 0, -1)
    vim.api.nvim_buf_set_lines(self.bufnr, 0, -1, false, { '# New session' })
    if session then
      self:put('message:', { op = 'message', id = '' })
      self:put_all(session)
    end
  end)
  require('lsp_agent.windows').answer_keys(self.chat)
end

---@param session lsp_agent.Session
function View:put_all(session)
  for _, message in ipairs(session.order) do
    self:put('message:' .. message.id, { op = 'message', id = message.id })
    if #message.pieces.thought > 0 then
      self:put('thought:' .. message.id, { op = 'thought', id = message.id })
    end
    if message.role ~= 'user' and #message.pieces.text > 0 then
      self:put('text:' .. message.id, { op = 'text', id = message.id })
    end
    for _, tool in ipairs(message.tools) do
      self:put('tool:' .. tool.id, { op = 'tool', id = message.id, tool = tool.id })
    end
  end
  if vim.iter(session.plan):any(function(entry)
    return entry.status ~= 'completed'
  end) then
    self:put('plan', { op = 'plan' })
  end
  for op, field in pairs({ permission = 'pending', question = 'questions' }) do
    for _, record in ipairs(self.chat:waiting_for(field)) do
      self:put(op .. ':' .. record.requestId, { op = op, id = record.requestId, value = record })
    end
  end
end

return M
