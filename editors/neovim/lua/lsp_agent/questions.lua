-- Questions of the agent that are no permissions: answered by a digit in the chat, in a form, or by vim.ui.select and
-- vim.ui.input. Several wait in the order they came; one that somebody else answers is taken away.

local config = require('lsp_agent.config')
local forms = require('lsp_agent.form')

local M = {}

---@class (exact) lsp_agent.OpenForm
---@field chat lsp_agent.Chat
---@field form lsp_agent.Form
---@field window integer
---@field bufnr integer
---@field targets table<integer, lsp_agent.Target>

---@type table<string, lsp_agent.OpenForm> By request
local open = {}

---@param chat lsp_agent.Chat
---@param request_id string
---@param action 'accept'|'decline'|'cancel'
---@param content lsp_agent.Json?
function M.respond(chat, request_id, action, content)
  local params = { requestId = request_id, action = action, content = content }
  chat:request('agent/question/respond', params, function(result)
    if result.accepted then
      return
    end
    if result.outcome == 'pending' then
      return vim.notify('lsp-agent: the answer does not fit; the question stays', vim.log.levels.WARN)
    end
    vim.notify(('lsp-agent: answered already by %s'):format(result.resolvedBy or 'somebody else'))
  end)
end

---A question has come: show it.
---@param chat lsp_agent.Chat
---@param record lsp_agent.Question
function M.asked(chat, record)
  if config.get().question == 'select' then
    return vim.schedule(function()
      M.walk(chat, forms.new(record), 1)
    end)
  end
  require('lsp_agent.windows').answer_keys(chat)
  if not chat:shows(record.sessionId) then
    return vim.notify(('lsp-agent: another session asks: %s (see :Agent sessions)'):format(record.message))
  end
  if not chat.view:is_visible() then
    require('lsp_agent.windows').open(chat)
  end
end

---A question waits no longer: its form is closed.
---@param chat lsp_agent.Chat
---@param request_id string
function M.resolved(chat, request_id)
  require('lsp_agent.windows').answer_keys(chat)
  local shown = open[request_id]
  open[request_id] = nil
  if shown and vim.api.nvim_win_is_valid(shown.window) then
    vim.api.nvim_win_close(shown.window, true)
  end
end

---The question at the cursor of the chat, else the oldest.
---@param chat lsp_agent.Chat
---@param only (fun(record: lsp_agent.Question): boolean)? Of those at other places
---@return lsp_agent.Question?
local function meant(chat, only)
  local waiting, id = chat:waiting_for('questions'), chat.view:at_cursor('question')
  if not waiting[1] then
    vim.notify('lsp-agent: nothing is asked')
    return nil
  end
  local function is_at_cursor(record)
    return record.requestId == id
  end
  return vim.iter(waiting):find(is_at_cursor) or only and vim.iter(waiting):find(only) or waiting[1]
end

---@param record lsp_agent.Question
---@return boolean
local function is_short(record)
  return forms.is_short(forms.new(record))
end

---Take a choice of a short question; any other opens its form.
---@param chat lsp_agent.Chat
---@param number integer
function M.choose(chat, number)
  local record = meant(chat, is_short)
  if not record then
    return
  end
  local form = forms.new(record)
  local choice = forms.is_short(form) and form.fields[1].choices[number]
  if not choice then
    return M.open(chat)
  end
  forms.toggle(form, 1, choice.id)
  M.respond(chat, record.requestId, 'accept', forms.content(form))
end

---Say that there will be no answer.
---@param chat lsp_agent.Chat
function M.decline(chat)
  local record = meant(chat)
  if record then
    M.respond(chat, record.requestId, 'decline')
  end
end

---@param shown lsp_agent.OpenForm
local function draw(shown)
  local lines
  lines, shown.targets = forms.lines(shown.form)
  vim.bo[shown.bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(shown.bufnr, 0, -1, false, lines)
  vim.bo[shown.bufnr].modifiable = false
end

---@param shown lsp_agent.OpenForm
---@param action 'accept'|'decline'
local function finish(shown, action)
  local id = shown.form.record.requestId
  open[id] = nil
  vim.api.nvim_win_close(shown.window, true)
  M.respond(shown.chat, id, action, action == 'accept' and forms.content(shown.form) or nil)
end

---Do what the line at the cursor stands for.
---@param shown lsp_agent.OpenForm
local function act(shown)
  local target = shown.targets[vim.api.nvim_win_get_cursor(shown.window)[1]]
  if not target then
    return
  elseif target.action then
    return finish(shown, target.action)
  elseif target.choice then
    forms.toggle(shown.form, target.field, target.choice)
    return draw(shown)
  end
  local field = shown.form.fields[target.field]
  vim.ui.input({ prompt = field.text .. ' ', default = forms.written(shown.form, target.field) }, function(text)
    if text and vim.api.nvim_buf_is_valid(shown.bufnr) then
      forms.write(shown.form, target.field, text)
      draw(shown)
    end
  end)
end

---@param shown lsp_agent.OpenForm
---@param step 1|-1
local function move(shown, step)
  local row = vim.api.nvim_win_get_cursor(shown.window)[1]
  local last = vim.api.nvim_buf_line_count(shown.bufnr)
  for _ = 1, last do
    row = (row - 1 + step) % last + 1
    if shown.targets[row] then
      return vim.api.nvim_win_set_cursor(shown.window, { row, 0 })
    end
  end
end

---@param shown lsp_agent.OpenForm
local function set_keys(shown)
  ---@param keys string[]
  ---@param desc string
  ---@param run fun()
  local function map(keys, desc, run)
    for _, key in ipairs(keys) do
      vim.keymap.set('n', key, run, { buffer = shown.bufnr, nowait = true, desc = 'lsp-agent: ' .. desc })
    end
  end
  map({ '<CR>', '<Space>' }, 'choose, write, send', function()
    act(shown)
  end)
  map({ '<Tab>' }, 'next', function()
    move(shown, 1)
  end)
  map({ '<S-Tab>' }, 'previous', function()
    move(shown, -1)
  end)
  map({ '<C-s>' }, 'send', function()
    finish(shown, 'accept')
  end)
  map({ config.get().keys.close, '<Esc>' }, 'close; the question stays', function()
    vim.api.nvim_win_close(shown.window, true)
  end)
end

---@param form lsp_agent.Form
---@return integer bufnr
---@return integer window
local function float(form)
  local bufnr, widest = vim.api.nvim_create_buf(false, true), 40
  local lines = forms.lines(form)
  for _, line in ipairs(lines) do
    widest = math.max(widest, vim.fn.strdisplaywidth(line) + 2)
  end
  local width = math.min(widest, math.max(vim.o.columns - 6, 20))
  local height = math.min(#lines, math.max(vim.o.lines - 6, 5))
  local window = vim.api.nvim_open_win(bufnr, true, {
    relative = 'editor',
    row = math.max(math.floor((vim.o.lines - height) / 2) - 1, 0),
    col = math.max(math.floor((vim.o.columns - width) / 2), 0),
    width = width,
    height = height,
    style = 'minimal',
    border = 'rounded',
    title = ' The agent asks ',
    footer = ' <CR> choose · <Tab> next · <C-s> send · q later ',
  })
  vim.bo[bufnr].bufhidden = 'wipe'
  vim.wo[window].cursorline, vim.wo[window].wrap, vim.wo[window].linebreak = true, true, true
  return bufnr, window
end

---Answer in a form: the question at the cursor, else the oldest. What was filled in stays while the form is closed.
---@param chat lsp_agent.Chat
function M.open(chat)
  local record = meant(chat)
  if not record then
    return
  end
  local held = open[record.requestId]
  if held and vim.api.nvim_win_is_valid(held.window) then
    return vim.api.nvim_set_current_win(held.window)
  end
  local form = held and held.form or forms.new(record)
  local bufnr, window = float(form)
  vim.b[bufnr].lsp_agent_root = chat.root
  local shown = { chat = chat, form = form, window = window, bufnr = bufnr, targets = {} }
  open[record.requestId] = shown
  draw(shown)
  set_keys(shown)
  vim.api.nvim_win_set_cursor(window, { 1, 0 })
  move(shown, 1)
end

---@param chat lsp_agent.Chat
---@param form lsp_agent.Form
---@param index integer
---@param next_field fun()
local function write(chat, form, index, next_field)
  vim.ui.input({ prompt = form.fields[index].text .. ' ' }, function(text)
    forms.write(form, index, text or '')
    next_field()
  end)
end

---Ask one field after the other by vim.ui. Closing the first without a choice answers nothing.
---@param chat lsp_agent.Chat
---@param form lsp_agent.Form
---@param index integer
function M.walk(chat, form, index)
  local field = form.fields[index]
  local function next_field()
    M.walk(chat, form, index + 1)
  end
  if not field then
    return M.respond(chat, form.record.requestId, 'accept', forms.content(form))
  elseif #field.choices == 0 then
    return write(chat, form, index, next_field)
  end
  local items = vim.list_extend({}, field.choices)
  items[#items + 1] = field.own and { own = true, label = 'In your own words …' } or nil
  items[#items + 1] = { done = true, label = field.kind == 'multi_choice' and 'Done' or 'Skip' }
  local chosen = form.values[field.key]
  vim.ui.select(items, {
    prompt = field.text,
    kind = 'lsp_agent_question',
    format_item = function(item)
      return (type(chosen) == 'table' and chosen[item.id] and '✔ ' or '') .. item.label
    end,
  }, function(item)
    if not item then
      return -- it stays open: the chat shows it
    elseif item.own then
      return write(chat, form, index, next_field)
    elseif item.done then
      return next_field()
    end
    forms.toggle(form, index, item.id)
    return field.kind == 'multi_choice' and M.walk(chat, form, index) or next_field()
  end)
end

return M
