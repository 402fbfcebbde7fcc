-- The input: a small buffer below the chat. `@` completes files of the workspace, `/` at the start completes commands;
-- <CR> in normal mode and <C-s> send.

local config = require('lsp_agent.config')

local M = {}

local MAX_FILES = 20000

---@param chat lsp_agent.Chat
---@return integer?
function M.bufnr(chat)
  local bufnr = vim.fn.bufnr('^agent://input' .. chat.root .. '$')
  return bufnr > 0 and bufnr or nil
end

---@type table<string, { at: integer, paths: string[] }>
local files = {}

---Paths of a workspace, relative; of git where there is one. Kept for ten seconds.
---@param root string
---@return string[]
function M.files(root)
  local held = files[root]
  if held and vim.uv.now() - held.at < 10000 then
    return held.paths
  end
  local paths = {}
  local command = { 'git', '-C', root, 'ls-files', '--cached', '--others', '--exclude-standard' }
  local ok, result = pcall(function()
    return vim.system(command, { text = true, timeout = 2000 }):wait()
  end)
  if ok and result.code == 0 then
    paths = vim.split(vim.trim(result.stdout or ''), '\n', { plain = true })
  else
    for path, kind in vim.fs.dir(root, { depth = 8 }) do
      if kind == 'file' and #paths < MAX_FILES then
        paths[#paths + 1] = path
      end
    end
  end
  files[root] = { at = vim.uv.now(), paths = paths }
  return paths
end

---'omnifunc' of the input.
---@param find_start 0|1
---@param base string
---@return integer|table
function M.omnifunc(find_start, base)
  local line, column = vim.api.nvim_get_current_line(), vim.api.nvim_win_get_cursor(0)[2]
  if find_start == 1 then
    local before = line:sub(1, column)
    local at = before:find('@[^%s]*$') or before:find('^/%S*$')
    return at and at - 1 or -3
  end
  if base:sub(1, 1) == '/' then
    return vim.tbl_map(function(name)
      return { word = '/' .. name, menu = 'command' }
    end, require('lsp_agent.commands').names(base:sub(2)))
  end
  local root = vim.b.lsp_agent_root or vim.fn.getcwd()
  local paths = M.files(root)
  local wanted = base:sub(2)
  local found = wanted == '' and vim.list_slice(paths, 1, 200) or vim.fn.matchfuzzy(paths, wanted, { limit = 200 })
  return vim.tbl_map(function(path)
    return { word = '@' .. path, menu = 'file' }
  end, found)
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
  vim.bo[bufnr].omnifunc = "v:lua.require'lsp_agent.input'.omnifunc"
  vim.bo[bufnr].completeopt = 'menuone,noinsert'
  local function send()
    M.send(chat)
  end
  vim.keymap.set('n', '<CR>', send, { buffer = bufnr, desc = 'lsp-agent: send' })
  vim.keymap.set('i', '<C-s>', send, { buffer = bufnr, desc = 'lsp-agent: send' })
  vim.keymap.set('n', config.get().keys.close, '<Cmd>close<CR>', { buffer = bufnr, nowait = true })
  vim.keymap.set('n', config.get().keys.stop, function()
    chat:stop()
  end, { buffer = bufnr, desc = 'lsp-agent: stop' })
  vim.keymap.set('i', '@', '@<C-x><C-o>', { buffer = bufnr, desc = 'lsp-agent: complete a file' })
  vim.keymap.set('i', '/', function()
    return vim.api.nvim_win_get_cursor(0)[2] == 0 and '/<C-x><C-o>' or '/'
  end, { buffer = bufnr, expr = true, desc = 'lsp-agent: complete a command' })
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
    vim.wo[window].winbar = ' <CR> send · @ file · / command'
    vim.wo[window].number = false
    vim.wo[window].winfixheight = true
  end
  if text and text ~= '' then
    vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, vim.split(text, '\n', { plain = true }))
  end
  vim.cmd.startinsert({ bang = true })
end

return M
