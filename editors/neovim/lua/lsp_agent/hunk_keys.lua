-- Keys of a file while changes of the agent wait in it. A map that the user has in that buffer stays.

local config = require('lsp_agent.config')

local M = {}

---Set the keys, or take them away.
---@param bufnr integer
---@param wanted boolean
function M.update(bufnr, wanted)
  if not vim.api.nvim_buf_is_valid(bufnr) or (vim.b[bufnr].lsp_agent_hunk_keys ~= nil) == wanted then
    return
  end
  if not wanted then
    for _, key in ipairs(vim.b[bufnr].lsp_agent_hunk_keys) do
      pcall(vim.keymap.del, 'n', key, { buffer = bufnr })
    end
    vim.b[bufnr].lsp_agent_hunk_keys = nil
    return
  end
  local taken, ours = {}, {}
  for _, map in ipairs(vim.api.nvim_buf_get_keymap(bufnr, 'n')) do
    taken[vim.api.nvim_replace_termcodes(map.lhs, true, true, true)] = true
  end
  for command, key in pairs(config.get().change_keys) do
    local typed = key:gsub('<[Ll]eader>', vim.g.mapleader or '\\')
    if key ~= '' and not taken[vim.api.nvim_replace_termcodes(typed, true, true, true)] then
      local run = ('<Cmd>Agent %s<CR>'):format(command)
      vim.keymap.set('n', key, run, { buffer = bufnr, desc = 'lsp-agent: ' .. command .. ' a change' })
      ours[#ours + 1] = key
    end
  end
  vim.b[bufnr].lsp_agent_hunk_keys = ours
end

return M
