-- A list in a small buffer below: one line an item, and keys that do something with the item at the cursor. Motions and
-- search are the editor's own.

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('lsp_agent_listing')

---@class (exact) lsp_agent.Listing
---@field name string Of the buffer: `agent://NAME…`
---@field help string The keys, on one line
---@field empty string Shown when there is nothing
---@field lines fun(chat: lsp_agent.Chat): string[]
---@field keys table<string, fun(chat: lsp_agent.Chat, row: integer)> `row` from 1

---The buffer of that name. One that was unloaded has lost its keys: it is done away with.
---@param name string
---@return integer?
function M.named(name)
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_name(bufnr) == name then
      if vim.api.nvim_buf_is_loaded(bufnr) then
        return bufnr
      end
      vim.api.nvim_buf_delete(bufnr, { force = true })
    end
  end
end

---@param chat lsp_agent.Chat
---@param listing lsp_agent.Listing
---@return string
local function name_of(chat, listing)
  return ('agent://%s%s'):format(listing.name, chat.root)
end

---Write the lines again, when the list is shown.
---@param chat lsp_agent.Chat
---@param listing lsp_agent.Listing
function M.refresh(chat, listing)
  local bufnr = M.named(name_of(chat, listing))
  if not bufnr then
    return
  end
  local lines = listing.lines(chat)
  for index, line in ipairs(lines) do
    lines[index] = line:gsub('\n', ' ')
  end
  vim.bo[bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, #lines > 0 and lines or { listing.empty })
  vim.bo[bufnr].modifiable = false
  vim.api.nvim_buf_clear_namespace(bufnr, NAMESPACE, 0, -1)
  local help = { { { listing.help, 'Comment' } } }
  vim.api.nvim_buf_set_extmark(bufnr, NAMESPACE, math.max(#lines, 1) - 1, 0, { virt_lines = help })
end

---@param chat lsp_agent.Chat
---@param listing lsp_agent.Listing
---@return integer bufnr
local function make(chat, listing)
  local bufnr = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(bufnr, name_of(chat, listing))
  vim.bo[bufnr].bufhidden = 'hide'
  vim.b[bufnr].lsp_agent_root = chat.root
  for key, act in pairs(listing.keys) do
    vim.keymap.set('n', key, function()
      act(chat, vim.api.nvim_win_get_cursor(0)[1])
    end, { buffer = bufnr, nowait = true, desc = 'lsp-agent' })
  end
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = bufnr, nowait = true, desc = 'lsp-agent: close' })
  return bufnr
end

---Show the list below, and go there.
---@param chat lsp_agent.Chat
---@param listing lsp_agent.Listing
function M.open(chat, listing)
  local bufnr = M.named(name_of(chat, listing)) or make(chat, listing)
  local window = require('lsp_agent.windows').showing(bufnr)
  if window then
    vim.api.nvim_set_current_win(window)
  else
    window = vim.api.nvim_open_win(bufnr, true, { split = 'below', win = -1, height = 8 })
    vim.wo[window].number, vim.wo[window].relativenumber = false, false
    vim.wo[window].wrap, vim.wo[window].cursorline = false, true
    vim.wo[window].statusline = ('agent: %s'):format(listing.name)
  end
  M.refresh(chat, listing)
end

---Close it in this tab page.
---@param chat lsp_agent.Chat
---@param listing lsp_agent.Listing
function M.close(chat, listing)
  local bufnr = M.named(name_of(chat, listing))
  local window = bufnr and require('lsp_agent.windows').showing(bufnr)
  if window and #vim.api.nvim_list_wins() > 1 then
    vim.api.nvim_win_close(window, true)
  end
end

return M
