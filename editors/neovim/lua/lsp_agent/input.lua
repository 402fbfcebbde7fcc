-- The input: a small buffer below the chat. `@` and `/` complete; <CR> in normal mode and <C-s> send.

local config = require('lsp_agent.config')

local M = {}

---@param chat lsp_agent.Chat
---@return integer?
function M.bufnr(chat)
  local bufnr = vim.fn.bufnr('^agent://input' .. chat.root .. '$')
  return bufnr > 0 and bufnr or nil
end

---Send what is written: a prompt, or a command that begins with `/`.
---@param chat lsp_agent.Chat
function M.send(chat)
  local bufnr = M.bufnr(chat)
  local text = bufnr and vim.trim(table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n')) or ''
  if text == '' then
    return
  end
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, {})
  vim.cmd.stopinsert()
  local name, rest = text:match('^/(%S+)%s*(.*)$')
  if name and #require('lsp_agent.commands').names(name, true) == 1 then
    return require('lsp_agent.commands').perform(chat, name, rest)
  end
  require('lsp_agent').ask(text, { chat = chat })
end

---@param chat lsp_agent.Chat
---@return integer bufnr
local function make(chat)
  local bufnr = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(bufnr, 'agent://input' .. chat.root)
  vim.b[bufnr].lsp_agent_root = chat.root
  vim.bo[bufnr].bufhidden = 'hide'
  vim.bo[bufnr].filetype = 'markdown'
  vim.bo[bufnr].omnifunc = "v:lua.require'lsp_agent.completing'.omnifunc"
  vim.bo[bufnr].completeopt = 'menuone,noselect,noinsert'
  require('lsp_agent.completing').watch(chat, bufnr)
  local function send()
    M.send(chat)
  end
  vim.keymap.set('n', '<CR>', send, { buffer = bufnr, desc = 'lsp-agent: send' })
  vim.keymap.set('i', '<C-s>', send, { buffer = bufnr, desc = 'lsp-agent: send' })
  vim.keymap.set('n', config.get().keys.close, '<Cmd>close<CR>', { buffer = bufnr, nowait = true })
  vim.keymap.set('n', config.get().keys.stop, function()
    chat:stop()
  end, { buffer = bufnr, desc = 'lsp-agent: stop' })
  vim.keymap.set('i', '<Tab>', function()
    return vim.fn.pumvisible() == 1 and '<C-n>' or '<Tab>'
  end, { buffer = bufnr, expr = true, desc = 'lsp-agent: next completion' })
  return bufnr
end

---Go to the input; the chat is opened with it.
---@param chat lsp_agent.Chat
---@param text string? What to begin with
function M.open(chat, text)
  local bufnr = M.bufnr(chat) or make(chat)
  local window = vim.fn.win_findbuf(bufnr)[1]
  if window then
    vim.api.nvim_set_current_win(window)
  else
    local above = require('lsp_agent.windows').open(chat)
    local height = config.get().window.input_height
    window = vim.api.nvim_open_win(bufnr, true, { split = 'below', win = above, height = height })
    vim.wo[window].winbar = ' <CR> send · @ mention · / command'
    vim.wo[window].number = false
    vim.wo[window].winfixheight = true
  end
  if text and text ~= '' then
    vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, vim.split(text, '\n', { plain = true }))
  end
  vim.cmd.startinsert({ bang = true })
end

return M
