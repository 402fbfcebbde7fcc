-- Following the agent: the file it looks at or changes is shown in a window of files, without taking the focus. Off
-- unless chosen.

local config = require('lsp_agent.config')

local M = {}

---@type boolean? What `:Agent follow` chose, over the setting
local chosen

---@return boolean
function M.is_on()
  if chosen == nil then
    return config.get().follow
  end
  return chosen
end

---Begin to follow, or stop it.
---@return boolean on
function M.toggle()
  chosen = not M.is_on()
  return chosen
end

---The window to show files in: that of the file that had the focus last, else the first one that shows a file.
---@return integer?
local function window()
  local is_file = require('lsp_agent.client').is_file
  local last = vim.fn.win_getid(vim.fn.winnr('#'))
  local windows = vim.api.nvim_tabpage_list_wins(0)
  table.insert(windows, 1, last)
  table.insert(windows, 1, vim.api.nvim_get_current_win())
  return vim.iter(windows):find(function(candidate)
    return candidate > 0
      and vim.api.nvim_win_get_config(candidate).relative == ''
      and is_file(vim.api.nvim_win_get_buf(candidate))
  end)
end

---Show where a tool call is at work. A place that cannot be shown is passed over; so is the window one types in.
---@param tool lsp_agent.Tool
function M.go(tool)
  local place = M.is_on() and tool.locations and tool.locations[1]
  local target = place and window()
  if not target or vim.api.nvim_get_current_win() == target and vim.fn.mode() ~= 'n' then
    return
  end
  local path = vim.uri_to_fname(place.uri)
  if vim.fn.filereadable(path) == 0 then
    return
  end
  local bufnr = vim.fn.bufadd(path)
  vim.fn.bufload(bufnr)
  vim.bo[bufnr].buflisted = true
  if vim.api.nvim_win_get_buf(target) ~= bufnr then
    vim.api.nvim_win_set_buf(target, bufnr)
  end
  if type(place.line) == 'number' then
    local row = math.min(place.line + 1, vim.api.nvim_buf_line_count(bufnr))
    vim.api.nvim_win_set_cursor(target, { row, 0 })
  end
end

return M
