-- Prompts that wait: a list, one line a prompt, with keys to edit, move, remove and send now.

local listing = require('lsp_agent.listing')

local M = {}

---@param chat lsp_agent.Chat
---@return lsp_agent.QueueItem[]
local function items_of(chat)
  local session = chat:session()
  return session and session.queue.items or {}
end

---Change the queue; every operation names the revision it has seen, so that nothing is done to another item.
---@param chat lsp_agent.Chat
---@param op string edit, move, remove, clear or sendNow
---@param item lsp_agent.QueueItem?
---@param more lsp_agent.Json?
---@param failed fun(err: table)?
---@param done fun()?
function M.change(chat, op, item, more, failed, done)
  local session = chat:session()
  if not session or not chat:client() then
    return vim.notify('lsp-agent: nothing waits')
  end
  local params = vim.tbl_extend('force', {
    sessionId = session.id,
    op = op,
    runId = item and item.runId or nil,
    messageId = item and item.messageId or nil,
    ifRevision = session.queue.revision,
  }, more or {})
  chat:request('agent/queue', params, function(queue)
    session.queue = queue
    M.refresh(chat)
    return done and done()
  end, failed)
end

---Edit a prompt in the input; sending it puts it back in its place.
---@param chat lsp_agent.Chat
---@param item lsp_agent.QueueItem
local function edit(chat, item)
  -- the list has its beginning on one line: enough to show, not to edit
  chat:request('agent/queue', { sessionId = chat.current, messageId = item.messageId }, function(queue)
    local found = vim.iter(queue.items):find(function(other)
      return other.messageId == item.messageId
    end)
    if not found then
      return vim.notify('lsp-agent: that prompt waits no longer')
    end
    require('lsp_agent.input').edit(chat, item, found.prompt)
  end)
end

---A prompt was edited. One that has left the queue meanwhile stays in the input.
---@param chat lsp_agent.Chat
---@param item lsp_agent.QueueItem
---@param text string
function M.edited(chat, item, text)
  local function give_back()
    require('lsp_agent.input').give_back(chat, text)
  end
  chat:when_ready(function()
    local waiting = vim.iter(items_of(chat)):any(function(other)
      return other.messageId == item.messageId
    end)
    if not waiting then
      vim.notify('lsp-agent: that prompt waits no longer; send it as a new one', vim.log.levels.WARN)
      return give_back()
    end
    local answered = require('lsp_agent.sending').hold(chat, text)
    M.change(chat, 'edit', item, { prompt = text }, function(err)
      answered()
      require('lsp_agent.errors').report(err, 'edit')
      give_back()
    end, answered)
  end, give_back)
end

---@param act fun(chat: lsp_agent.Chat, item: lsp_agent.QueueItem, row: integer)
---@return fun(chat: lsp_agent.Chat, row: integer)
local function with_item(act)
  return function(chat, row)
    local item = items_of(chat)[row]
    if item then
      act(chat, item, row)
    end
  end
end

---@type lsp_agent.Listing
local LISTING = {
  name = 'queue',
  help = 'e edit   K/J move   x remove   <CR> send now   q close',
  empty = 'Nothing waits.',
  lines = function(chat)
    local lines = {}
    for index, item in ipairs(items_of(chat)) do
      lines[index] = ('%d  %s%s'):format(index, item.kind == 'fold' and '(joins the run) ' or '', item.preview)
    end
    return lines
  end,
  keys = {
    e = with_item(edit),
    x = with_item(function(chat, item)
      M.change(chat, 'remove', item)
    end),
    ['<CR>'] = with_item(function(chat, item)
      M.change(chat, 'sendNow', item)
    end),
    K = with_item(function(chat, item, row)
      M.change(chat, 'move', item, { index = math.max(row - 2, 0) })
    end),
    J = with_item(function(chat, item, row)
      M.change(chat, 'move', item, { index = row })
    end),
  },
}

---Write the lines again, when the queue is shown.
---@param chat lsp_agent.Chat
function M.refresh(chat)
  listing.refresh(chat, LISTING)
end

---Show the queue below; `clear` empties it.
---@param chat lsp_agent.Chat
---@param what string?
function M.open(chat, what)
  if what == 'clear' then
    return M.change(chat, 'clear')
  end
  listing.open(chat, LISTING)
end

return M
