-- Where the chat and its input are shown, and the keys of the chat buffer.

local config = require('lsp_agent.config')

local M = {}

---Text of a closed fold: its first line and how many there are.
---@return string
function M.fold_text()
  local count = vim.v.foldend - vim.v.foldstart + 1
  local first = vim.fn.getline(vim.v.foldstart) --[[@as string]]
  local rest = count > 1 and (' … %d lines'):format(count) or ''
  return vim.fn.strcharpart(first, 0, config.get().window.width - #rest) .. rest
end

---Fold level of a line of the chat.
---@param row integer
---@return integer
function M.fold_level(row)
  return require('lsp_agent.blocks').fold_level(vim.fn.getline(row) --[[@as string]])
end

---The window of this tab page that shows a buffer; the current one when it does.
---@param bufnr integer
---@return integer?
function M.showing(bufnr)
  if vim.api.nvim_get_current_buf() == bufnr then
    return vim.api.nvim_get_current_win()
  end
  return vim.iter(vim.api.nvim_tabpage_list_wins(0)):find(function(window)
    return vim.api.nvim_win_get_buf(window) == bufnr
  end)
end

---@param window integer
local function dress(window)
  local options = {
    wrap = true,
    linebreak = true,
    number = false,
    relativenumber = false,
    signcolumn = 'no',
    foldmethod = 'expr',
    foldexpr = "v:lua.require'lsp_agent.windows'.fold_level(v:lnum)",
    foldtext = "v:lua.require'lsp_agent.windows'.fold_text()",
    foldlevel = 0,
    foldminlines = 0,
    foldenable = true,
    winfixwidth = true,
    conceallevel = 0, -- what a command or a file is called must be seen as it is, brackets and all
    fillchars = 'fold: ',
    statusline = "%{%v:lua.require'lsp_agent'.statusline()%}",
  }
  for name, value in pairs(options) do
    vim.api.nvim_set_option_value(name, value, { win = window, scope = 'local' })
  end
end

---Show the chat at the right of this tab page; the cursor stays where it is unless `focus`.
---@param chat lsp_agent.Chat
---@param focus boolean?
---@return integer window
function M.open(chat, focus)
  local bufnr = chat.view:buffer()
  local window = M.showing(bufnr)
  if not window then
    window = vim.api.nvim_open_win(bufnr, false, { split = 'right', win = -1, width = config.get().window.width })
    dress(window)
    vim.api.nvim_win_set_cursor(window, { vim.api.nvim_buf_line_count(bufnr), 0 })
  end
  if focus then
    vim.api.nvim_set_current_win(window)
  end
  return window
end

---Close every window of the chat.
---@param chat lsp_agent.Chat
function M.close(chat)
  for _, bufnr in ipairs({ chat.view.bufnr or -1, require('lsp_agent.input').bufnr(chat) or -1 }) do
    for _, window in ipairs(bufnr > 0 and vim.fn.win_findbuf(bufnr) or {}) do
      if #vim.api.nvim_list_wins() > 1 then
        vim.api.nvim_win_close(window, true)
      end
    end
  end
end

---Digits choose while a question waits that takes one; at other times they are counts, as everywhere.
---@param chat lsp_agent.Chat
function M.answer_keys(chat)
  local bufnr = chat.view.bufnr
  if not bufnr or not vim.api.nvim_buf_is_valid(bufnr) then
    return
  end
  local wanted = #chat:waiting_for('questions') > 0
  if vim.b[bufnr].lsp_agent_digits == wanted then
    return
  end
  vim.b[bufnr].lsp_agent_digits = wanted
  for number = 1, 9 do
    if wanted then
      vim.keymap.set('n', tostring(number), function()
        require('lsp_agent.questions').choose(chat, number)
      end, { buffer = bufnr, nowait = true, desc = 'lsp-agent: choose answer ' .. number })
    else
      pcall(vim.keymap.del, 'n', tostring(number), { buffer = bufnr })
    end
  end
end

---The keys of the chat buffer; every one can be changed by `keys` of the settings.
---@param chat lsp_agent.Chat
---@param bufnr integer
function M.chat_keys(chat, bufnr)
  local keys = config.get().keys
  ---@param key string
  ---@param desc string
  ---@param act fun()
  local function map(key, desc, act)
    if key ~= '' then
      vim.keymap.set('n', key, act, { buffer = bufnr, nowait = true, desc = 'lsp-agent: ' .. desc })
    end
  end
  for _, kind in ipairs({ 'allow_once', 'allow_session', 'allow_always', 'reject_once', 'reject_always' }) do
    map(keys[kind], kind:gsub('_', ' '), function()
      require('lsp_agent.permission').answer(chat, kind)
    end)
  end
  map(keys.reject_message, 'reject with a message', function()
    require('lsp_agent.permission').reject_with_message(chat)
  end)
  map(keys.permission_menu, 'all answers', function()
    require('lsp_agent.permission').menu(chat)
  end)
  map(keys.answer, 'answer in a form', function()
    require('lsp_agent.questions').open(chat)
  end)
  map(keys.decline, 'decline the question', function()
    require('lsp_agent.questions').decline(chat)
  end)
  map(keys.input, 'write a prompt', function()
    require('lsp_agent.input').open(chat)
  end)
  map(keys.stop, 'stop', function()
    chat:stop()
  end)
  map(keys.queue, 'queue', function()
    require('lsp_agent.queue').open(chat)
  end)
  map(keys.close, 'close', function()
    M.close(chat)
  end)
end

---Show lines in a new window, in a buffer that goes with it.
---@param lines string[]
---@param filetype string
function M.scratch(lines, filetype)
  vim.cmd.new()
  vim.bo.buftype, vim.bo.bufhidden = 'nofile', 'wipe'
  vim.bo.filetype = filetype
  vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
end

return M
