-- What users and other plugins call. Everything is loaded when it is needed.

local M = {}

---Set options; calling it is optional. See `:help lsp-agent-settings`.
---@param options table?
function M.setup(options)
  require('lsp_agent.config').set(options)
  -- the client's configuration is made of the settings: have it made again
  vim.lsp.config('lsp_agent', require('lsp_agent.client').lsp_config())
end

---@class (exact) lsp_agent.SendOptions
---@field chat lsp_agent.Chat? Default: that of the current buffer
---@field lines { first: integer, last: integer }? One-based; sent instead of the whole file
---@field when_busy string? queue, fold, reject or interrupt
---@field steering boolean? Into the running turn

---Send a prompt about the current file.
---@param prompt string
---@param options lsp_agent.SendOptions?
---@param accepted fun(result: lsp_agent.Json)? Called with `{sessionId, runId, messageId, state}`
function M.ask(prompt, options, accepted)
  options = options or {}
  local chat = options.chat or require('lsp_agent.chat').here()
  local bufnr = require('lsp_agent.editor').file(chat.root)
  require('lsp_agent.windows').open(chat)
  local sent = {
    bufnr = bufnr,
    when_busy = options.when_busy,
    -- collected when the server is there: only then is the buffer's version known to it
    attachments = function()
      require('lsp_agent.editor').push_now(assert(chat:client()))
      return require('lsp_agent.attachments').collect(chat, prompt, bufnr, options.lines)
    end,
  }
  if options.steering then
    return require('lsp_agent.sending').steer(chat, prompt, sent)
  end
  chat:ask(prompt, sent, accepted)
end

---Stop the running prompt and everything that waits.
function M.stop()
  require('lsp_agent.chat').here():stop()
end

---A component for 'statusline': `%{%v:lua.require'lsp_agent'.statusline()%}`. Empty while there is no server.
---@return string
function M.statusline()
  return package.loaded['lsp_agent.chat'] and require('lsp_agent.status').line() or ''
end

---The view model of the session that is shown: plain JSON, for other plugins and tests.
---@return lsp_agent.ViewModel?
function M.view_model()
  local session = require('lsp_agent.chat').here():session()
  return session and require('lsp_agent.session').view_model(session)
end

return M
