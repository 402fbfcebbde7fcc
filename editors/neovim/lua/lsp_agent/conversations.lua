-- The sessions of a workspace as a list with keys, or in vim.ui.select: open, rename, fork, export, delete.

local config = require('lsp_agent.config')
local listing = require('lsp_agent.listing')
local sessions = require('lsp_agent.sessions')

local M = {}

---@type table<string, { query: string?, infos: lsp_agent.Json[] }> By root: what was asked for, and what there is
local listed = {}

---@param chat lsp_agent.Chat
---@param info lsp_agent.Json
---@return string
local function line_of(chat, info)
  local when = (info.updatedAt or ''):sub(1, 16):gsub('T', ' ')
  local more = info.isBusy and ' · busy' or ''
  more = more .. ((info.queued or 0) > 0 and (' · %d queued'):format(info.queued) or '')
  local mark = info.sessionId == chat.current and '●' or ' '
  local title = info.title ~= '' and info.title or 'New session'
  return ('%s %s  %s (%d messages%s)'):format(mark, when, title, info.messageCount or 0, more)
end

---Ask the server for the sessions of the workspace, the newest first.
---@param chat lsp_agent.Chat
---@param query string?
---@param done fun(infos: lsp_agent.Json[])
local function load(chat, query, done)
  local params = { root = vim.uri_from_fname(chat.root), limit = 200, query = query ~= '' and query or nil }
  chat:when_ready(function()
    chat:request('agent/session/list', params, function(result)
      done(result.sessions)
    end)
  end)
end

---@type lsp_agent.Listing
local LISTING

---Write the list again, when it is shown.
---@param chat lsp_agent.Chat
function M.refresh(chat)
  local held = listed[chat.root]
  if held and listing.named('agent://sessions' .. chat.root) then
    load(chat, held.query, function(infos)
      held.infos = infos
      listing.refresh(chat, LISTING)
    end)
  end
end

---@param act fun(chat: lsp_agent.Chat, info: lsp_agent.Json)
---@return fun(chat: lsp_agent.Chat, row: integer)
local function with_item(act)
  return function(chat, row)
    local info = (listed[chat.root] or { infos = {} }).infos[row]
    if info then
      act(chat, info)
    end
  end
end

---@param chat lsp_agent.Chat
---@return fun()
local function refreshing(chat)
  return function()
    M.refresh(chat)
  end
end

LISTING = {
  name = 'sessions',
  help = '<CR> open   n new   r rename   f fork   e export   d delete   q close',
  empty = 'No sessions.',
  lines = function(chat)
    return vim.tbl_map(function(info)
      return line_of(chat, info)
    end, listed[chat.root].infos)
  end,
  keys = {
    ['<CR>'] = with_item(function(chat, info)
      listing.close(chat, LISTING)
      sessions.switch(chat, info.sessionId)
    end),
    n = function(chat)
      listing.close(chat, LISTING)
      sessions.new(chat)
    end,
    r = with_item(function(chat, info)
      sessions.rename_to(chat, info, refreshing(chat))
    end),
    f = with_item(function(chat, info)
      sessions.fork(chat, info.sessionId)
      listing.close(chat, LISTING)
    end),
    e = with_item(function(chat, info)
      sessions.export(chat, 'markdown', info.sessionId)
    end),
    d = with_item(function(chat, info)
      sessions.delete(chat, info, refreshing(chat))
    end),
  },
}

---@param chat lsp_agent.Chat
---@param infos lsp_agent.Json[]
local function select(chat, infos)
  if #infos == 0 then
    return vim.notify('lsp-agent: no sessions yet')
  end
  vim.ui.select(infos, {
    prompt = 'Session',
    kind = 'lsp_agent_session',
    format_item = function(info)
      return line_of(chat, info)
    end,
  }, function(info)
    if info then
      sessions.switch(chat, info.sessionId)
    end
  end)
end

---Show the sessions of the workspace, those with `query` in them when there is one.
---@param chat lsp_agent.Chat
---@param query string?
function M.open(chat, query)
  load(chat, query, function(infos)
    if config.get().sessions == 'select' then
      return select(chat, infos)
    end
    listed[chat.root] = { query = query, infos = infos }
    listing.open(chat, LISTING)
  end)
end

return M
