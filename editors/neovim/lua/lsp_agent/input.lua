-- The input: a small buffer below the chat. `@` and `/` complete; <CR> in normal mode and <C-s> send, another key sends
-- into the running turn. A prompt that waits is edited here too.

local config = require('lsp_agent.config')

local M = {}

---@param chat lsp_agent.Chat
---@return integer?
function M.bufnr(chat)
  return require('lsp_agent.listing').named('agent://input' .. chat.root)
end

---@param bufnr integer
---@return string
local function text_of(bufnr)
  return vim.trim(table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n'))
end

---@param bufnr integer
---@param text string
local function write(bufnr, text)
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, vim.split(text, '\n', { plain = true }))
end

---What the input says above itself: what sending does, and what goes along.
---@param root string
---@return string
function M.winbar(root)
  local chat = require('lsp_agent.chat').of_root(root)
  if chat.editing then
    return ' a waiting prompt · <CR> puts it back'
  end
  local session, steer = chat:session(), config.get().keys.steer
  local said = ' <CR> send · @ mention · / command'
  if session and session.active_run and steer ~= '' then
    said = (' <CR> send · %s into the turn'):format(steer)
  end
  local bufnr = config.get().attach_buffer and require('lsp_agent.editor').file(root) or nil
  local name = bufnr and vim.fs.basename(vim.api.nvim_buf_get_name(bufnr)) or nil
  local along = name and ('%%=+ %s%s '):format(name:gsub('%%', '%%%%'), vim.bo[bufnr].modified and ' (unsaved)' or '')
    or ''
  return said .. along
end

---Send what is written: a prompt, or a command that begins with `/`.
---@param chat lsp_agent.Chat
---@param steering boolean? Into the running turn
function M.send(chat, steering)
  local bufnr = M.bufnr(chat)
  local text = bufnr and text_of(bufnr) or ''
  if text == '' then
    chat.editing = nil
    return
  end
  write(bufnr --[[@as integer]], '')
  vim.cmd.stopinsert()
  local item = chat.editing
  chat.editing = nil
  if item then
    return require('lsp_agent.queue').edited(chat, item, text)
  end
  local name, rest = text:match('^/(%S+)%s*(.*)$')
  if name and #require('lsp_agent.commands').names(name, true) == 1 then
    return require('lsp_agent.commands').perform(chat, name, rest)
  end
  require('lsp_agent').ask(text, { chat = chat, steering = steering })
end


---@param chat lsp_agent.Chat
---@param bufnr integer
local function set_keys(chat, bufnr)
  local keys = config.get().keys
  ---@param modes string|string[]
  ---@param key string
  ---@param desc string
  ---@param act fun()
  local function map(modes, key, desc, act)
    if key ~= '' then
      vim.keymap.set(modes, key, act, { buffer = bufnr, nowait = true, desc = 'lsp-agent: ' .. desc })
    end
  end
  local function send()
    M.send(chat)
  end
  map('n', '<CR>', 'send', send)
  map('i', '<C-s>', 'send', send)
  map({ 'n', 'i' }, keys.steer, 'send into the running turn', function()
    M.send(chat, true)
  end)
  map('n', keys.close, 'close', function()
    vim.cmd.close()
  end)
  map('n', keys.stop, 'stop', function()
    chat:stop()
  end)
  vim.keymap.set('i', '<Tab>', function()
    return vim.fn.pumvisible() == 1 and '<C-n>' or '<Tab>'
  end, { buffer = bufnr, expr = true, desc = 'lsp-agent: next completion' })
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
  set_keys(chat, bufnr)
  return bufnr
end

---@param chat lsp_agent.Chat
---@param bufnr integer
local function show(chat, bufnr)
  local window = require('lsp_agent.windows').showing(bufnr)
  if window then
    return vim.api.nvim_set_current_win(window)
  end
  local above = require('lsp_agent.windows').open(chat)
  local height = config.get().window.input_height
  window = vim.api.nvim_open_win(bufnr, true, { split = 'below', win = above, height = height })
  vim.wo[window].winbar = "%{%v:lua.require'lsp_agent.input'.winbar(b:lsp_agent_root)%}"
  vim.wo[window].statusline = ' '
  vim.wo[window].number, vim.wo[window].relativenumber = false, false
  vim.wo[window].wrap, vim.wo[window].linebreak = true, true
  vim.wo[window].winfixheight = true
end

---Go to the input; the chat is opened with it.
---@param chat lsp_agent.Chat
---@param text string? What to begin with
function M.open(chat, text)
  local bufnr = M.bufnr(chat) or make(chat)
  show(chat, bufnr)
  if text and text ~= '' then
    write(bufnr, text)
  end
  vim.cmd.startinsert({ bang = true })
end

---Put a prompt back that could not be sent, below what is written meanwhile.
---@param chat lsp_agent.Chat
---@param text string
function M.give_back(chat, text)
  local bufnr = M.bufnr(chat) or make(chat)
  local written = text_of(bufnr)
  write(bufnr, written == '' and text or written .. '\n\n' .. text)
end

---Edit a prompt that waits; an empty text gives it up.
---@param chat lsp_agent.Chat
---@param item lsp_agent.QueueItem
---@param text string
function M.edit(chat, item, text)
  local bufnr = M.bufnr(chat) or make(chat)
  if text_of(bufnr) ~= '' then
    return vim.notify('lsp-agent: send or clear what is in the input first', vim.log.levels.WARN)
  end
  chat.editing = item
  show(chat, bufnr)
  write(bufnr, text)
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(bufnr), 0 })
end

return M
