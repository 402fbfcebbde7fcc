-- What the agent changed: pending hunks as signs with the old text above, to accept, reject or undo, and as a quickfix
-- list. A server that keeps changes is asked to resolve them; with one that does not, it is done here, and text the
-- user typed meanwhile is never touched.

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('lsp_agent_changes')

---@class (exact) lsp_agent.PlacedHunk
---@field id string
---@field uri string
---@field session_id string
---@field run_id string?
---@field old_text string
---@field new_text string
---@field first integer First line after the change, zero-based
---@field last integer Line behind it
---@field is_lost boolean Its text was changed since: it is nowhere to be shown
---@field bufnr integer? Where it is shown
---@field mark integer?

---@type lsp_agent.PlacedHunk[]
local hunks = {}

---@param text string
---@return string[]
local function lines_of(text)
  local lines = vim.split((text:gsub('\r\n', '\n')), '\n', { plain = true })
  if lines[#lines] == '' then
    table.remove(lines)
  end
  return lines
end

---Lines above the first one are out of sight unless a window is told to make room for them.
---@param bufnr integer
---@param count integer
local function above_the_first_line(bufnr, count)
  for _, window in ipairs(vim.fn.win_findbuf(bufnr)) do
    vim.api.nvim_win_call(window, function()
      if vim.fn.line('w0') == 1 then
        vim.fn.winrestview({ topline = 1, topfill = count })
      end
    end)
  end
end

---@param hunk lsp_agent.PlacedHunk
local function place(hunk)
  local bufnr = vim.fn.bufnr(vim.uri_to_fname(hunk.uri))
  if hunk.is_lost or bufnr < 0 or not vim.api.nvim_buf_is_loaded(bufnr) then
    return
  end
  local count = vim.api.nvim_buf_line_count(bufnr)
  local removed = {}
  for index, line in ipairs(lines_of(hunk.old_text)) do
    removed[index] = { { line ~= '' and line or ' ', 'DiffDelete' } }
  end
  -- the mark ends with the hunk's last line, not before the next one, or that would get a sign too
  local last = math.min(hunk.last, count) - 1
  local ends = hunk.last > hunk.first and vim.api.nvim_buf_get_lines(bufnr, last, last + 1, false)[1] or nil
  hunk.bufnr = bufnr
  hunk.mark = vim.api.nvim_buf_set_extmark(bufnr, NAMESPACE, math.min(hunk.first, count - 1), 0, {
    end_row = ends and last or nil,
    end_col = ends and #ends or nil,
    sign_text = hunk.new_text == '' and '▁' or '▎',
    sign_hl_group = hunk.new_text == '' and 'DiagnosticSignError' or 'DiagnosticSignOk',
    virt_lines = #removed > 0 and removed or nil,
    virt_lines_above = true,
    strict = false,
  })
  if hunk.first == 0 and #removed > 0 then
    above_the_first_line(bufnr, #removed)
  end
  require('lsp_agent.hunk_keys').update(bufnr, true)
end

---@param hunk lsp_agent.PlacedHunk
local function forget(hunk)
  if hunk.mark and vim.api.nvim_buf_is_valid(hunk.bufnr) then
    vim.api.nvim_buf_del_extmark(hunk.bufnr, NAMESPACE, hunk.mark)
  end
  hunks = vim.tbl_filter(function(other)
    return other ~= hunk
  end, hunks)
  if hunk.bufnr then
    require('lsp_agent.hunk_keys').update(hunk.bufnr, M.in_buffer(hunk.bufnr) > 0)
  end
end

---@param id string
---@return lsp_agent.PlacedHunk?
local function known(id)
  return vim.iter(hunks):find(function(hunk)
    return hunk.id == id
  end)
end

local function tell()
  vim.api.nvim_exec_autocmds('User', { pattern = 'LspAgentChanges', modeline = false })
end

---Show what was changed, and what became of changes that are known already.
---@param chat lsp_agent.Chat
---@param session_id string
---@param files lsp_agent.Json[]
function M.add(chat, session_id, files)
  for _, file in ipairs(files) do
    local shift = 0
    for _, hunk in ipairs(file.hunks or {}) do
      local held = known(hunk.hunkId)
      if held then
        forget(held)
      end
      local added = #lines_of(hunk.newText)
      local first = hunk.newRange and hunk.newRange.start.line or hunk.range.start.line + shift
      shift = shift + added - (hunk.range['end'].line - hunk.range.start.line)
      if (hunk.state or 'pending') == 'pending' then
        local placed = {
          id = hunk.hunkId,
          uri = file.uri,
          session_id = session_id,
          run_id = hunk.runId,
          old_text = hunk.oldText,
          new_text = hunk.newText,
          first = first,
          last = first + added,
          -- a server that keeps changes says where they are; without that they were changed since
          is_lost = chat.abilities.changes ~= nil and not hunk.newRange,
        }
        table.insert(hunks, placed)
        place(placed)
      end
    end
  end
  tell()
end

---Ask the server for what still waits in a session: after an attach.
---@param chat lsp_agent.Chat
---@param session_id string
function M.load(chat, session_id)
  if not chat.abilities.changes then
    return
  end
  chat:request('agent/changes/list', { sessionId = session_id, state = 'pending' }, function(result)
    for _, hunk in ipairs(hunks) do
      if hunk.session_id == session_id then
        forget(hunk)
      end
    end
    M.add(chat, session_id, result.files)
  end)
end

---Where a hunk is now: its lines, zero-based and half-open. nil when it is not shown anywhere.
---@param hunk lsp_agent.PlacedHunk
---@return integer? first
---@return integer last
local function extent(hunk)
  if not hunk.mark or not vim.api.nvim_buf_is_loaded(hunk.bufnr) then
    return nil, 0
  end
  local at = vim.api.nvim_buf_get_extmark_by_id(hunk.bufnr, NAMESPACE, hunk.mark, { details = true })
  if not at[1] then
    return nil, 0
  end
  return at[1], at[3].end_row and at[3].end_row + 1 or at[1]
end

---Show the hunks of a file that was opened, or read again: that took its marks away.
---@param bufnr integer
function M.opened(bufnr)
  local name = vim.api.nvim_buf_get_name(bufnr)
  for _, hunk in ipairs(hunks) do
    if vim.uri_to_fname(hunk.uri) == name and not extent(hunk) then
      place(hunk)
    end
  end
end

---Put the old text back, unless the new one was changed since.
---@param hunk lsp_agent.PlacedHunk
---@return boolean
local function revert(hunk)
  local first, last = extent(hunk)
  if not first then
    return false
  end
  local now = vim.api.nvim_buf_get_lines(hunk.bufnr, first, last, false)
  if not vim.deep_equal(now, lines_of(hunk.new_text)) then
    return false
  end
  vim.bo[hunk.bufnr].undolevels = vim.bo[hunk.bufnr].undolevels
  vim.api.nvim_buf_set_lines(hunk.bufnr, first, last, false, lines_of(hunk.old_text))
  vim.bo[hunk.bufnr].undolevels = vim.bo[hunk.bufnr].undolevels
  return true
end

---@param chosen lsp_agent.PlacedHunk[]
---@param action 'accept'|'reject'|'undo'
local function resolve_here(chosen, action)
  local conflicts = 0
  for index = #chosen, 1, -1 do
    if action == 'accept' or revert(chosen[index]) then
      forget(chosen[index])
    else
      conflicts = conflicts + 1
    end
  end
  if conflicts > 0 then
    vim.notify(('lsp-agent: %d changed since, left as they are'):format(conflicts), vim.log.levels.WARN)
  end
end

---@param chat lsp_agent.Chat
---@param session_id string
---@param action 'accept'|'reject'|'undo'|'redo'
---@param targets lsp_agent.Json[]
---@param comment string? For the model
local function resolve_there(chat, session_id, action, targets, comment)
  local params = { sessionId = session_id, action = action, targets = targets, comment = comment }
  chat:request('agent/changes/resolve', params, function(result)
    -- what an undo or redo leads to is told by `changes_update`; accepted and rejected hunks are done with
    for _, id in ipairs((action == 'accept' or action == 'reject') and result.done or {}) do
      local hunk = known(id)
      if hunk then
        forget(hunk)
      end
    end
    if #(result.conflicts or {}) > 0 then
      local said = 'lsp-agent: %d changed since, left as they are'
      vim.notify(said:format(#result.conflicts), vim.log.levels.WARN)
    elseif #result.done == 0 then
      vim.notify('lsp-agent: no changes to ' .. action)
    end
    tell()
  end)
end

---Accept, reject or undo hunks.
---@param chat lsp_agent.Chat
---@param chosen lsp_agent.PlacedHunk[]
---@param action 'accept'|'reject'|'undo'
---@param comment string? What the model is told along with it
function M.resolve(chat, chosen, action, comment)
  if #chosen == 0 then
    return vim.notify('lsp-agent: no changes here')
  elseif not chat.abilities.changes then
    return resolve_here(chosen, action)
  end
  local targets = vim.tbl_map(function(hunk)
    return { hunkId = hunk.id }
  end, chosen)
  resolve_there(chat, chosen[1].session_id, action, targets, comment)
end

---The run whose changes came last; nil when none is known.
---@param chat lsp_agent.Chat
---@return string?
local function last_run_id(chat)
  local session = chat:session()
  for index = session and #session.changes or 0, 1, -1 do
    for _, hunk in ipairs(session.changes[index].hunks or {}) do
      if type(hunk.runId) == 'string' then
        return hunk.runId
      end
    end
  end
  return hunks[#hunks] and hunks[#hunks].run_id
end

---One step back in what became of the last run's changes: the newest decision, or the changes themselves. A server that
---keeps no changes: the changes themselves.
---@param chat lsp_agent.Chat
function M.undo(chat)
  local run_id = chat.abilities.changes and last_run_id(chat)
  if run_id then
    return resolve_there(chat, chat.current, 'undo', { { runId = run_id } })
  end
  M.resolve(chat, M.last_run(), 'undo')
end

---One step forward again.
---@param chat lsp_agent.Chat
function M.redo(chat)
  local run_id = last_run_id(chat)
  if not chat.abilities.changes then
    return vim.notify('lsp-agent: this server keeps no changes; use the redo of the editor')
  elseif not run_id then
    return vim.notify('lsp-agent: nothing to make again')
  end
  resolve_there(chat, chat.current, 'redo', { { runId = run_id } })
end

---The hunk at the cursor, or every one of the buffer.
---@param whole boolean
---@return lsp_agent.PlacedHunk[]
function M.here(whole)
  local bufnr, row = vim.api.nvim_get_current_buf(), vim.api.nvim_win_get_cursor(0)[1] - 1
  return vim.tbl_filter(function(hunk)
    local first, last = extent(hunk)
    return first ~= nil and hunk.bufnr == bufnr and (whole or first <= row and row < math.max(last, first + 1))
  end, hunks)
end

---The hunks of the newest run that has any.
---@return lsp_agent.PlacedHunk[]
function M.last_run()
  local newest = hunks[#hunks]
  if not newest then
    return {}
  end
  return vim.tbl_filter(function(hunk)
    return hunk.run_id == newest.run_id and hunk.session_id == newest.session_id
  end, hunks)
end

---Go to the next hunk of the buffer, or with -1 to the one before; around the end.
---@param step 1|-1
function M.go(step)
  local row, rows = vim.api.nvim_win_get_cursor(0)[1] - 1, {}
  for _, hunk in ipairs(M.here(true)) do
    rows[#rows + 1] = (extent(hunk))
  end
  table.sort(rows, function(a, b)
    return (a - b) * step < 0
  end)
  for _, first in ipairs(rows) do
    if (first - row) * step > 0 then
      return vim.api.nvim_win_set_cursor(0, { first + 1, 0 })
    end
  end
  if rows[1] then
    vim.api.nvim_win_set_cursor(0, { rows[1] + 1, 0 })
  end
end

---Every pending hunk as a quickfix list.
function M.quickfix()
  local items = {}
  for _, hunk in ipairs(hunks) do
    local first = extent(hunk) or hunk.first
    local said = lines_of(hunk.new_text)[1] or 'removed: ' .. (lines_of(hunk.old_text)[1] or '')
    items[#items + 1] = { filename = vim.uri_to_fname(hunk.uri), lnum = first + 1, text = said }
  end
  vim.fn.setqflist({}, ' ', { title = 'Changes of the agent', items = items })
  if #items > 0 then
    vim.cmd.copen()
  end
end

---Every pending hunk as a diff in a new buffer.
function M.diff()
  local lines = {}
  for _, hunk in ipairs(hunks) do
    lines[#lines + 1] = '--- ' .. vim.uri_to_fname(hunk.uri)
    lines[#lines + 1] = ('@@ line %d @@'):format((extent(hunk) or hunk.first) + 1)
    for _, side in ipairs({ { '-', hunk.old_text }, { '+', hunk.new_text } }) do
      for _, line in ipairs(lines_of(side[2])) do
        lines[#lines + 1] = side[1] .. line
      end
    end
  end
  require('lsp_agent.windows').scratch(#lines > 0 and lines or { 'No pending changes.' }, 'diff')
end

---How many hunks are shown in a buffer.
---@param bufnr integer
---@return integer
function M.in_buffer(bufnr)
  return #vim.tbl_filter(function(hunk)
    return hunk.bufnr == bufnr
  end, hunks)
end

---How many hunks are pending.
---@return integer
function M.count()
  return #hunks
end

return M
