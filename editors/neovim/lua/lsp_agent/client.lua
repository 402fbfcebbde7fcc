-- The language client: how the server is started, what it is told of us, and who gets what it says.

local config = require('lsp_agent.config')
local memory = require('lsp_agent.memory')

local M = {}

M.NAME = 'lsp_agent'
M.VERSION = '0.1.0'

---Methods of other servers that we answer for the agent.
M.LSP_METHODS = {
  'textDocument/definition',
  'textDocument/declaration',
  'textDocument/typeDefinition',
  'textDocument/implementation',
  'textDocument/references',
  'textDocument/hover',
  'textDocument/documentSymbol',
  'workspace/symbol',
  'textDocument/rename',
  'textDocument/codeAction',
  'textDocument/prepareCallHierarchy',
  'callHierarchy/incomingCalls',
  'callHierarchy/outgoingCalls',
}

---@param ctx { client_id: integer }
---@return lsp_agent.Chat?
local function chat_of(ctx)
  local client = vim.lsp.get_client_by_id(ctx.client_id)
  return client and require('lsp_agent.chat').of_client(client)
end

---@return table<string, function>
local function handlers()
  return {
    ['agent/event'] = function(_, params, ctx)
      local chat = chat_of(ctx)
      if chat then
        chat:event(params)
      end
    end,
    ['agent/runComplete'] = function(_, params, ctx)
      local chat = chat_of(ctx)
      if chat then
        chat:complete(params)
      end
    end,
    ['agent/editor/lsp'] = function(...)
      return require('lsp_agent.editor').answer_lsp(...)
    end,
    ['workspace/applyEdit'] = function(...)
      return require('lsp_agent.applying').apply(...)
    end,
  }
end

---The `agent` block of PROTOCOL 2.
---@return lsp_agent.Json
function M.agent_block()
  local settings = config.get()
  return {
    protocolVersions = { 1 },
    client = { id = memory.client_id(), name = 'lsp-agent.nvim', version = M.VERSION },
    events = { enabled = true, optOut = { 'tool_input_chunk' }, maxLatencyMs = 0 },
    ui = { permission = 'event', question = 'event' },
    editor = {
      lsp = M.LSP_METHODS,
      diagnostics = settings.push_diagnostics and 'push' or 'none',
      selection = settings.push_selection,
    },
  }
end

---The root of a buffer's workspace: a marker above it, else the working directory.
---@param bufnr integer
---@return string
function M.root(bufnr)
  return vim.fs.root(bufnr, config.get().root_markers) or vim.fn.getcwd()
end

---The client's configuration, as `lsp/lsp_agent.lua` gives it to `vim.lsp.config`.
---@return table
function M.lsp_config()
  local settings = config.get()
  return {
    cmd = config.command(),
    cmd_env = settings.cmd_env,
    root_dir = function(bufnr, on_dir)
      on_dir(M.root(bufnr))
    end,
    capabilities = { experimental = { agent = M.agent_block() } },
    handlers = handlers(),
    -- an edit of the agent is finished when its change was reported: do not sit on it
    flags = { debounce_text_changes = 0 },
    on_init = function(client, result)
      require('lsp_agent.connecting').connected(client, result)
    end,
    on_exit = function(code, signal, client_id)
      vim.schedule(function()
        require('lsp_agent.connecting').disconnected(client_id, code, signal)
      end)
    end,
  }
end

---True for a buffer that is a file the server should know.
---@param bufnr integer
---@return boolean
function M.is_file(bufnr)
  return vim.api.nvim_buf_is_loaded(bufnr)
    and vim.bo[bufnr].buftype == ''
    and vim.api.nvim_buf_get_name(bufnr) ~= ''
    and not vim.api.nvim_buf_get_name(bufnr):match('^%a[%w+.-]+://')
end

---Start the server for a workspace, or find the running one; attaches every loaded file of it.
---@param root string
---@return integer? client_id nil when it could not be started; the user has been told
function M.start(root)
  local resolved = vim.deepcopy(vim.lsp.config[M.NAME]) --[[@as table]]
  resolved.root_dir = root
  if vim.fn.executable(resolved.cmd[1]) == 0 then
    vim.notify('lsp-agent: ' .. config.missing(resolved.cmd[1]), vim.log.levels.ERROR)
    return nil
  end
  local id = vim.lsp.start(resolved, { attach = false })
  if id then
    M.attach_files(id, root)
  end
  return id
end

---Attach every loaded file below `root`, now and from now on.
---@param client_id integer
---@param root string
function M.attach_files(client_id, root)
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if M.is_file(bufnr) and M.root(bufnr) == root then
      vim.lsp.buf_attach_client(bufnr, client_id)
    end
  end
  local group = vim.api.nvim_create_augroup('lsp_agent_attach_' .. client_id, { clear = true })
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile', 'BufFilePost', 'BufWritePost' }, {
    group = group,
    desc = 'lsp-agent: let the server know the file',
    callback = function(args)
      local client = vim.lsp.get_client_by_id(client_id)
      if not client or client:is_stopped() then
        return true -- removes the autocommand
      end
      if M.is_file(args.buf) and M.root(args.buf) == root and not vim.lsp.buf_is_attached(args.buf, client_id) then
        vim.lsp.buf_attach_client(args.buf, client_id)
      end
    end,
  })
end

return M
