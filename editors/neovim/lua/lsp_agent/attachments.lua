-- What goes along with a prompt: the live buffer, a range of it, and files named with `@`.

local config = require('lsp_agent.config')
local positions = require('lsp_agent.positions')

local M = {}

---@param bufnr integer
---@param client vim.lsp.Client?
---@return string uri
---@return integer? version nil when the server does not have the buffer
local function identity(bufnr, client)
  local attached = client and vim.lsp.buf_is_attached(bufnr, client.id)
  return vim.uri_from_bufnr(bufnr), attached and vim.lsp.util.buf_versions[bufnr] or nil
end

---The visual selection that a command's range came from, by bytes; nil when the range is one of whole lines.
---@param bufnr integer
---@param first integer One-based
---@param last integer
---@param encoding string
---@return lsp.Range?
local function visual(bufnr, first, last, encoding)
  local from, to = vim.fn.getpos("'<"), vim.fn.getpos("'>")
  if vim.fn.visualmode() ~= 'v' or from[2] ~= first or to[2] ~= last then
    return nil
  end
  local line = vim.api.nvim_buf_get_lines(bufnr, last - 1, last, false)[1] or ''
  local behind = math.min(to[3], #line)
  behind = behind + (behind > 0 and vim.str_utf_end(line, behind) or 0)
  return {
    start = positions.position(bufnr, first - 1, from[3] - 1, encoding),
    ['end'] = positions.position(bufnr, last - 1, behind, encoding),
  }
end

---What a prompt mentions: what was chosen in the input, and files named with `@path` that exist below the root.
---@param chat lsp_agent.Chat
---@param prompt string
---@return lsp_agent.Json[]
function M.mentioned(chat, prompt)
  local found, seen = {}, {}
  for word, attachment in pairs(chat.mentioned) do
    local from, to = prompt:find(word, 1, true)
    if from and (prompt:sub(to + 1, to + 1) == '' or prompt:sub(to + 1):match('^[%s%p]')) then
      seen[vim.fs.joinpath(chat.root, (word:gsub('^@"?', ''):gsub('"$', '')))] = true
      table.insert(found, attachment)
    end
  end
  for path in (' ' .. prompt):gmatch('%s@([^%s]+)') do
    local trimmed = path:gsub('[.,;:!?)]+$', '')
    for _, candidate in ipairs({ path, trimmed }) do
      local full = vim.fs.joinpath(chat.root, candidate)
      if not seen[full] and vim.fn.filereadable(full) == 1 then
        seen[full] = true
        table.insert(found, { type = 'file', uri = vim.uri_from_fname(full) })
      end
    end
  end
  chat.mentioned = {}
  return found
end

---@param chat lsp_agent.Chat
---@param prompt string
---@param bufnr integer? The file the prompt is about
---@param lines { first: integer, last: integer }? One-based lines of the command
---@return lsp_agent.Json[]
function M.collect(chat, prompt, bufnr, lines)
  local found = M.mentioned(chat, prompt)
  if not bufnr then
    return found
  end
  local client = chat:client()
  local uri, version = identity(bufnr, client)
  local encoding = client and client.offset_encoding or 'utf-16'
  if lines then
    local range = visual(bufnr, lines.first, lines.last, encoding)
      or positions.lines(bufnr, lines.first - 1, lines.last - 1, encoding)
    table.insert(found, 1, { type = 'selection', uri = uri, version = version, range = range })
  elseif config.get().attach_buffer then
    table.insert(found, 1, { type = 'buffer', uri = uri, version = version })
  end
  return found
end

return M
