-- The editor's side of the protocol: what has the focus, what is selected, what other servers report and answer.

local client_module = require('lsp_agent.client')
local config = require('lsp_agent.config')
local positions = require('lsp_agent.positions')

local M = {}

local ANSWER_MS = 5000

---@type integer?
local last_file

---The file a prompt is about: the current buffer, else the last one that had the focus, else one that is shown. One of
---that workspace, when there are several.
---@param root string?
---@return integer?
function M.file(root)
  local candidates = { vim.api.nvim_get_current_buf(), last_file }
  for _, window in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    table.insert(candidates, vim.api.nvim_win_get_buf(window))
  end
  for _, bufnr in ipairs(candidates) do
    local is_file = vim.api.nvim_buf_is_valid(bufnr) and client_module.is_file(bufnr)
    if is_file and (not root or client_module.root(bufnr) == root) then
      return bufnr
    end
  end
end

---@param client vim.lsp.Client
---@return lsp.Range
local function selection(client)
  local mode, bufnr = vim.fn.mode(), vim.api.nvim_get_current_buf()
  local here, there = vim.fn.getpos('.'), vim.fn.getpos('v')
  if mode == 'V' then
    local first, last = math.min(here[2], there[2]), math.max(here[2], there[2])
    return positions.lines(bufnr, first - 1, last - 1, client.offset_encoding)
  end
  if here[2] < there[2] or (here[2] == there[2] and here[3] < there[3]) then
    here, there = there, here
  end
  local from = (mode == 'v' or mode == '\22') and there or here
  local behind = from == there and 0 or -1
  return {
    start = positions.position(bufnr, from[2] - 1, from[3] - 1, client.offset_encoding),
    ['end'] = positions.position(bufnr, here[2] - 1, here[3] + behind, client.offset_encoding),
  }
end

---@param client vim.lsp.Client
local function push_selection(client)
  local bufnr = vim.api.nvim_get_current_buf()
  if not client:is_stopped() and vim.lsp.buf_is_attached(bufnr, client.id) then
    client:notify('agent/editor/didChangeSelection', {
      uri = vim.uri_from_bufnr(bufnr),
      version = vim.lsp.util.buf_versions[bufnr],
      selections = { selection(client) },
    })
  end
end

---@param diagnostic vim.Diagnostic
---@param client vim.lsp.Client
---@return lsp.Diagnostic
local function to_lsp(diagnostic, client)
  local encoding, bufnr = client.offset_encoding, diagnostic.bufnr
  return {
    range = {
      start = positions.position(bufnr, diagnostic.lnum, diagnostic.col, encoding),
      ['end'] = positions.position(
        bufnr,
        diagnostic.end_lnum or diagnostic.lnum,
        diagnostic.end_col or diagnostic.col,
        encoding
      ),
    },
    severity = diagnostic.severity,
    message = diagnostic.message,
    source = diagnostic.source,
    code = diagnostic.code,
  }
end

---Tell the server what others say of a buffer; a source that has fallen silent is told with an empty list.
---@param client vim.lsp.Client
---@param bufnr integer
---@param told table<string, boolean> `uri source` that were told something
local function push_diagnostics(client, bufnr, told)
  local uri, by_source = vim.uri_from_bufnr(bufnr), {}
  for _, diagnostic in ipairs(vim.diagnostic.get(bufnr)) do
    local space = vim.diagnostic.get_namespace(diagnostic.namespace)
    local source = diagnostic.source or space.name or 'unknown'
    if not (space.name or ''):find('vim.lsp.' .. client.name, 1, true) then
      by_source[source] = by_source[source] or {}
      table.insert(by_source[source], to_lsp(diagnostic, client))
    end
  end
  for key in pairs(told) do
    local of, source = key:match('^(%S+) (.*)$')
    if of == uri and not by_source[source] then
      by_source[source], told[key] = {}, nil
    end
  end
  if next(by_source) == nil then
    by_source[''] = {} -- a report with nothing in it is one: the server need not go on waiting for it
  end
  for source, items in pairs(by_source) do
    told[uri .. ' ' .. source] = #items > 0 or nil
    client:notify('agent/editor/didPublishDiagnostics', {
      uri = uri,
      version = vim.lsp.util.buf_versions[bufnr],
      server = source,
      items = items,
    })
  end
end

---@param client vim.lsp.Client
---@return integer group
local function group_for(client)
  return vim.api.nvim_create_augroup('lsp_agent_editor_' .. client.id, { clear = true })
end

---@param client vim.lsp.Client
---@param group integer
local function watch_selection(client, group)
  local timer = assert(vim.uv.new_timer())
  vim.api.nvim_create_autocmd({ 'CursorMoved', 'CursorMovedI', 'ModeChanged' }, {
    group = group,
    desc = 'lsp-agent: tell the selection',
    callback = function(args)
      if client:is_stopped() then
        timer:stop()
        return true
      end
      if client_module.is_file(args.buf) then
        timer:start(
          config.get().selection_debounce_ms,
          0,
          vim.schedule_wrap(function()
            push_selection(client)
          end)
        )
      end
    end,
  })
end

---Tell the server from now on where the user is and what other servers report.
---@param chat lsp_agent.Chat
function M.watch(chat)
  local client = chat:client()
  if not client then
    return
  end
  local group, told = group_for(client), {}
  vim.api.nvim_create_autocmd('BufEnter', {
    group = group,
    desc = 'lsp-agent: tell the focus',
    callback = function(args)
      if client:is_stopped() then
        return true
      end
      if client_module.is_file(args.buf) then
        last_file = args.buf
        client:notify('agent/editor/didFocus', { uri = vim.uri_from_bufnr(args.buf) })
      end
    end,
  })
  vim.api.nvim_create_autocmd('BufReadPost', {
    group = group,
    callback = function(args)
      require('lsp_agent.changes').opened(args.buf)
    end,
  })
  if config.get().push_selection then
    watch_selection(client, group)
  end
  if config.get().push_diagnostics then
    vim.api.nvim_create_autocmd('DiagnosticChanged', {
      group = group,
      desc = 'lsp-agent: tell what other servers report',
      callback = function(args)
        if client:is_stopped() then
          return true
        end
        if client_module.is_file(args.buf) then
          push_diagnostics(client, args.buf, told)
        end
      end,
    })
  end
end

---Tell the selection now: before a prompt that may be about it.
---@param client vim.lsp.Client
function M.push_now(client)
  if config.get().push_selection then
    push_selection(client)
  end
end

---The loaded buffer of a file; nil when there is none (none is made).
---@param uri string?
---@return integer?
local function loaded(uri)
  local bufnr = uri and vim.fn.bufnr(vim.uri_to_fname(uri)) or -1
  return bufnr > 0 and vim.api.nvim_buf_is_loaded(bufnr) and bufnr or nil
end

---Whether a server that has no buffer of a file would know it: it is below one of its folders, of one of its types.
---@param client vim.lsp.Client
---@param uri string
---@return boolean
local function would_know(client, uri)
  local path, types = vim.uri_to_fname(uri), client.config.filetypes ---@diagnostic disable-line: undefined-field
  local kind = vim.filetype.match({ filename = path })
  for bufnr in pairs(types and {} or client.attached_buffers) do
    types = types or {}
    table.insert(types, vim.bo[bufnr].filetype)
  end
  local root = client.root_dir
  return kind ~= nil
    and vim.list_contains(types or {}, kind)
    and (root == nil or vim.startswith(path, root:gsub('/$', '') .. '/'))
end

---Other servers that have a method, for the file of the request.
---@param method string
---@param uri string?
---@param ours integer
---@return vim.lsp.Client[]
local function others(method, uri, ours)
  local bufnr = loaded(uri)
  return vim.tbl_filter(function(client)
    return client.id ~= ours and (bufnr ~= nil or uri == nil or would_know(client, uri))
  end, vim.lsp.get_clients({ method = method, bufnr = bufnr }))
end

---Handler of `agent/editor/lsp`: asks the user's own servers; who does not answer in time is left out.
---@param _ any
---@param params { method: string, params: table, timeoutMs: integer? }
---@param ctx lsp.HandlerContext
---@return { results: { server: string, result: any }[] }
function M.answer_lsp(_, params, ctx)
  local asker = assert(vim.lsp.get_client_by_id(ctx.client_id))
  local uri = vim.tbl_get(params.params, 'textDocument', 'uri') or vim.tbl_get(params.params, 'item', 'uri')
  local asked, results, open = others(params.method, uri, asker.id), {}, 0
  local waiter, is_waiting = coroutine.running(), false
  local function arrived()
    open = open - 1
    if open == 0 and is_waiting then
      is_waiting = false
      vim.schedule(function()
        coroutine.resume(waiter)
      end)
    end
  end
  for _, client in ipairs(asked) do
    open = open + 1
    local ours = positions.recode(params.params, uri, asker.offset_encoding, client.offset_encoding)
    client:request(params.method, ours, function(err, result)
      if not err then
        local shown = positions.recode(result, uri, client.offset_encoding, asker.offset_encoding)
        table.insert(results, { server = client.name, result = shown == nil and vim.NIL or shown })
      end
      arrived()
    end, loaded(uri))
  end
  if open > 0 then
    is_waiting = true
    vim.defer_fn(function()
      open = 1
      arrived()
    end, math.min(params.timeoutMs or ANSWER_MS, ANSWER_MS))
    coroutine.yield()
  end
  return { results = results }
end

return M
