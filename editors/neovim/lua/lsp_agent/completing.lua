-- Completion in the input: `@` mentions and `/` commands, asked of the server while the user types, and of the
-- workspace itself with a server that knows none. What is chosen is sent along with the prompt.

local M = {}

local MAX_FILES = 20000
local FILES_MS = 10000

---@type table<string, { at: integer, paths: string[] }>
local files = {}

---Paths of a workspace, relative; of git where there is one. Kept for ten seconds.
---@param root string
---@return string[]
function M.files(root)
  local held = files[root]
  if held and vim.uv.now() - held.at < FILES_MS then
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

---Where the word at the cursor begins that can be completed, in bytes from zero; nil when there is none.
---@param before string The line up to the cursor
---@param row integer From one
---@return integer?
function M.start(before, row)
  local at = before:find('@"[^"]*$') or before:find('@[^%s]*$') or row == 1 and before:find('^/%S*$')
  local ahead = at and at > 1 and before:sub(at - 1, at - 1) or ' '
  return at and ahead:match('[%s%(%[{<,;"\'`]') and at - 1 or nil
end

---@param lead string Without the slash
---@return lsp_agent.Json[]
local function own_commands(lead)
  local help = require('lsp_agent.commands').help()
  return vim.tbl_map(function(name)
    return { word = '/' .. name, menu = help[name], kind = '/' }
  end, require('lsp_agent.commands').names(lead))
end

---What the plugin knows by itself.
---@param root string
---@param base string With its `@` or `/`
---@return lsp_agent.Json[]
function M.own(root, base)
  local wanted = base:sub(2)
  if base:sub(1, 1) == '/' then
    return own_commands(wanted)
  end
  local paths = M.files(root)
  local found = wanted == '' and vim.list_slice(paths, 1, 200) or vim.fn.matchfuzzy(paths, wanted, { limit = 200 })
  return vim.tbl_map(function(path)
    return { word = path:find('%s') and ('@"%s"'):format(path) or '@' .. path, menu = 'file' }
  end, found)
end

---@param items lsp_agent.Json[] Of `agent/mention/complete`
---@param base string
---@return lsp_agent.Json[]
local function shown(items, base)
  local found, seen = base:sub(1, 1) == '/' and own_commands(base:sub(2)) or {}, {}
  for _, item in ipairs(found) do
    seen[item.word] = true
  end
  for _, item in ipairs(items) do
    local word = vim.trim(item.insertText)
    if not seen[word] then
      seen[word] = true
      local detail = type(item.detail) == 'string' and item.detail or ''
      found[#found + 1] = {
        word = word,
        abbr = item.label,
        menu = vim.fn.strcharpart(detail:gsub('%s+', ' '), 0, 60),
        user_data = { lsp_agent = item.attachment },
      }
    end
  end
  return found
end

---Ask for what fits at the cursor; `done` gets nothing when the text moved on meanwhile.
---@param chat lsp_agent.Chat
---@param bufnr integer
---@param done fun(start: integer, items: lsp_agent.Json[])
local function ask(chat, bufnr, done)
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local before = vim.api.nvim_get_current_line():sub(1, column)
  local start = M.start(before, row)
  if not start then
    return
  end
  local base = before:sub(start + 1)
  if not chat:client() then
    return done(start, M.own(chat.root, base))
  end
  local lines = vim.api.nvim_buf_get_lines(bufnr, 0, -1, false)
  local text, ahead = table.concat(lines, '\n'), #table.concat(vim.list_slice(lines, 1, row - 1), '\n')
  local offset = vim.str_utfindex(text, 'utf-16', (row > 1 and ahead + 1 or 0) + column)
  local params = { text = text, offset = offset, sessionId = chat.current }
  local tick = vim.api.nvim_buf_get_changedtick(bufnr)
  local function still_here()
    return vim.api.nvim_get_current_buf() == bufnr and vim.api.nvim_buf_get_changedtick(bufnr) == tick
  end
  chat:request('agent/mention/complete', params, function(result)
    if still_here() then
      done(start, shown(result.items, base))
    end
  end, function()
    if still_here() then
      done(start, M.own(chat.root, base))
    end
  end, bufnr)
end

---Show completions while the user types. One menu for a text: moving in it asks nothing.
---@param chat lsp_agent.Chat
---@param bufnr integer
function M.watch(chat, bufnr)
  local asked_for
  local group = vim.api.nvim_create_augroup('lsp_agent_input_' .. bufnr, { clear = true })
  vim.api.nvim_create_autocmd({ 'TextChangedI', 'TextChangedP' }, {
    group = group,
    buffer = bufnr,
    desc = 'lsp-agent: complete mentions and commands',
    callback = function()
      local column = vim.api.nvim_win_get_cursor(0)[2]
      local before = vim.api.nvim_get_current_line():sub(1, column)
      if before == asked_for or vim.fn.complete_info({ 'selected' }).selected >= 0 then
        return
      end
      asked_for = before
      ask(chat, bufnr, function(start, items)
        if vim.fn.mode() == 'i' and #items > 0 then
          vim.fn.complete(start + 1, items)
          vim.cmd.redraw()
        end
      end)
    end,
  })
  vim.api.nvim_create_autocmd('CompleteDone', {
    group = group,
    buffer = bufnr,
    desc = 'lsp-agent: remember what was mentioned',
    callback = function()
      local item = vim.v.completed_item
      asked_for = vim.api.nvim_get_current_line():sub(1, vim.api.nvim_win_get_cursor(0)[2])
      local attachment = type(item.user_data) == 'table' and item.user_data.lsp_agent
      if attachment then
        chat.mentioned[item.word] = attachment
      end
    end,
  })
end

---'omnifunc' of the input: what the plugin knows by itself.
---@param find_start 0|1
---@param base string
---@return integer|table
function M.omnifunc(find_start, base)
  if find_start == 1 then
    local row, column = unpack(vim.api.nvim_win_get_cursor(0))
    return M.start(vim.api.nvim_get_current_line():sub(1, column), row) or -3
  end
  return M.own(vim.b.lsp_agent_root or vim.fn.getcwd(), base)
end

return M
