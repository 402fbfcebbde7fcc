-- `workspace/applyEdit` of the agent: refused when the buffer moved on, and one undo step a tool edit.

local M = {}

---Close the undo block of a buffer, so that what follows is undone alone.
---@param bufnr integer
local function break_undo(bufnr)
  vim.bo[bufnr].undolevels = vim.bo[bufnr].undolevels
end

---Buffers an edit touches, with the version it was made for.
---@param edit lsp.WorkspaceEdit
---@return table<integer, integer|false>
local function targets(edit)
  local found = {}
  for _, change in ipairs(edit.documentChanges or {}) do
    local document = change.textDocument
    if document then
      found[vim.uri_to_bufnr(document.uri)] = type(document.version) == 'number' and document.version or false
    end
  end
  for uri in pairs(edit.changes or {}) do
    found[vim.uri_to_bufnr(uri)] = false
  end
  return found
end

---Why an edit cannot be applied; nil when it can.
---@param bufnr integer
---@param version integer|false
---@return string?
local function obstacle(bufnr, version)
  local name = vim.fs.basename(vim.api.nvim_buf_get_name(bufnr))
  local have = vim.lsp.util.buf_versions[bufnr]
  if version and have and have > version then
    return ('%s changed meanwhile (version %d, the edit is for %d)'):format(name, have, version)
  end
  if vim.api.nvim_buf_is_loaded(bufnr) and not vim.bo[bufnr].modifiable then
    return name .. ' is not modifiable'
  end
end

---Handler of `workspace/applyEdit`.
---@param _ any
---@param params lsp.ApplyWorkspaceEditParams
---@param ctx lsp.HandlerContext
---@return lsp.ApplyWorkspaceEditResult
function M.apply(_, params, ctx)
  local client = assert(vim.lsp.get_client_by_id(ctx.client_id))
  local buffers = targets(params.edit)
  for bufnr, version in pairs(buffers) do
    local reason = obstacle(bufnr, version)
    if reason then
      return { applied = false, failureReason = reason }
    end
  end
  for bufnr in pairs(buffers) do
    vim.fn.bufload(bufnr)
    break_undo(bufnr)
  end
  local ok, problem = pcall(vim.lsp.util.apply_workspace_edit, params.edit, client.offset_encoding)
  for bufnr in pairs(buffers) do
    break_undo(bufnr)
  end
  return { applied = ok, failureReason = not ok and tostring(problem) or nil }
end

return M
