-- Positions between Neovim's bytes and an LSP encoding, and between two encodings.

local M = {}

---A line of a file: of the buffer when it is loaded, else of the disk.
---@param uri string
---@param row integer Zero-based
---@return string
local function line_at(uri, row)
  local path = vim.uri_to_fname(uri)
  local bufnr = vim.fn.bufnr(path)
  if bufnr > 0 and vim.api.nvim_buf_is_loaded(bufnr) then
    return vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
  end
  local ok, lines = pcall(vim.fn.readfile, path, '', row + 1)
  return ok and lines[row + 1] or ''
end

---An LSP position of a byte column; a column behind the line's end is its end.
---@param bufnr integer
---@param row integer Zero-based
---@param byte integer
---@param encoding string utf-8, utf-16 or utf-32
---@return lsp.Position
function M.position(bufnr, row, byte, encoding)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
  return { line = row, character = vim.str_utfindex(line, encoding, math.min(byte, #line), false) }
end

---Whole lines as an LSP range; behind the last line the range ends at its end.
---@param bufnr integer
---@param first integer Zero-based
---@param last integer The last line, inclusive
---@param encoding string
---@return lsp.Range
function M.lines(bufnr, first, last, encoding)
  local count = vim.api.nvim_buf_line_count(bufnr)
  local behind = last + 1 < count and { line = last + 1, character = 0 }
    or M.position(bufnr, count - 1, math.huge, encoding)
  return { start = { line = first, character = 0 }, ['end'] = behind }
end

---@param position lsp.Position
---@param uri string
---@param from string
---@param to string
---@return lsp.Position
local function recode_position(position, uri, from, to)
  local line = line_at(uri, position.line)
  local byte = vim.str_byteindex(line, from, position.character, false)
  return { line = position.line, character = vim.str_utfindex(line, to, byte, false) }
end

---A copy of an LSP value with every position written in another encoding.
---@param value any
---@param uri string? The file positions without one of their own belong to
---@param from string
---@param to string
---@return any
function M.recode(value, uri, from, to)
  if type(value) ~= 'table' or from == to then
    return value
  end
  uri = value.targetUri or value.uri or vim.tbl_get(value, 'textDocument', 'uri') or uri
  if type(value.line) == 'number' and type(value.character) == 'number' then
    return uri and recode_position(value, uri, from, to) or value
  end
  local copy = {}
  for key, item in pairs(value) do
    local is_uri = type(key) == 'string' and key:match('^%a[%w+.-]*://')
    copy[key] = M.recode(item, is_uri and key or uri, from, to)
  end
  return copy
end

return M
