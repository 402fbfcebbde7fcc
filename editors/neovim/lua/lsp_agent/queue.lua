-- Prompts that wait: a small buffer, one line a prompt, with keys to edit, move, remove and send now.

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('lsp_agent_queue')

---Change the queue; every operation names the revision it has seen, so that nothing is done to another item.
---@param chat lsp_agent.Chat
---@param op string edit, move, remove, clear or sendNow
---@param item lsp_agent.QueueItem?
---@param more lsp_agent.Json?
function M.change(chat, op, item, more)
  local session = chat:session()
  local params = vim.tbl_extend('force', {
    op = op,
    runId = item and item.runId or nil,
    messageId = item and item.messageId or nil,
    ifRevision = session and session.queue.revision or nil,
  }, more or {})
  chat:in_session('agent/queue', params, function(queue)
    chat.sessions[chat.current].queue = queue
    M.refresh(chat)
  end)
end

---@param chat lsp_agent.Chat
---@return integer?
local function buffer_of(chat)
  local bufnr = vim.fn.bufnr('^agent://queue' .. chat.root .. '$')
  return bufnr > 0 and bufnr or nil
end

---@param chat lsp_agent.Chat
---@return lsp_agent.QueueItem?
local function item_here(chat)
  local session = chat:session()
  return session and session.queue.items[vim.api.nvim_win_get_cursor(0)[1]]
end

---Write the lines again, when the queue is shown.
---@param chat lsp_agent.Chat
function M.refresh(chat)
  local bufnr, session = buffer_of(chat), chat:session()
  if not bufnr then
    return
  end
  local lines = {}
  for index, item in ipairs(session and session.queue.items or {}) do
    lines[index] = ('%d  %s%s'):format(index, item.kind == 'fold' and '(joins the run) ' or '', item.preview)
  end
  vim.bo[bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, #lines > 0 and lines or { 'Nothing waits.' })
  vim.bo[bufnr].modifiable = false
  vim.api.nvim_buf_clear_namespace(bufnr, NAMESPACE, 0, -1)
  local help = { { { 'e edit   K/J move   x remove   <CR> send now   q close', 'Comment' } } }
  vim.api.nvim_buf_set_extmark(bufnr, NAMESPACE, math.max(#lines, 1) - 1, 0, { virt_lines = help })
end

---@param chat lsp_agent.Chat
---@param item lsp_agent.QueueItem
local function edit(chat, item)
  vim.ui.input({ prompt = 'Prompt: ', default = item.preview }, function(text)
    if text and vim.trim(text) ~= '' then
      M.change(chat, 'edit', item, { prompt = text })
    end
  end)
end

---@param chat lsp_agent.Chat
---@param bufnr integer
local function set_keys(chat, bufnr)
  ---@param key string
  ---@param act fun(item: lsp_agent.QueueItem, index: integer)
  local function map(key, act)
    vim.keymap.set('n', key, function()
      local item = item_here(chat)
      if item then
        act(item, vim.api.nvim_win_get_cursor(0)[1])
      end
    end, { buffer = bufnr, nowait = true })
  end
  map('e', function(item)
    edit(chat, item)
  end)
  map('x', function(item)
    M.change(chat, 'remove', item)
  end)
  map('<CR>', function(item)
    M.change(chat, 'sendNow', item)
  end)
  map('K', function(item, index)
    M.change(chat, 'move', item, { index = math.max(index - 2, 0) })
  end)
  map('J', function(item, index)
    M.change(chat, 'move', item, { index = index })
  end)
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = bufnr, nowait = true })
end

---Show the queue below.
---@param chat lsp_agent.Chat
function M.open(chat)
  local bufnr = buffer_of(chat)
  if not bufnr then
    bufnr = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(bufnr, 'agent://queue' .. chat.root)
    vim.bo[bufnr].bufhidden = 'hide'
    vim.b[bufnr].lsp_agent_root = chat.root
    set_keys(chat, bufnr)
  end
  local window = vim.fn.win_findbuf(bufnr)[1]
  if window then
    vim.api.nvim_set_current_win(window)
  else
    vim.api.nvim_open_win(bufnr, true, { split = 'below', height = 8 })
  end
  M.refresh(chat)
end

return M
