-- For `vim.lsp.enable('lsp_agent')`: starts the server with the first file instead of the first `:Agent`.
return require('lsp_agent.client').lsp_config()
