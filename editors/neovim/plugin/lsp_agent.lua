-- Commands only; everything else loads when one is used.
if vim.g.loaded_lsp_agent or vim.fn.has('nvim-0.11') == 0 then
  return
end
vim.g.loaded_lsp_agent = 1

vim.api.nvim_create_user_command('Agent', function(command)
  require('lsp_agent.commands').run(command)
end, {
  nargs = '*',
  range = true,
  bang = true,
  desc = 'Talk to the coding agent',
  complete = function(...)
    return require('lsp_agent.commands').complete(...)
  end,
})
