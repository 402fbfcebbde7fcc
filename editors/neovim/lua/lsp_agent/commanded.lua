-- The commands the agent runs in the background: what they say, and an end to one.

local listing = require('lsp_agent.listing')

local M = {}

---@type table<string, lsp_agent.Json[]> By root
local listed = {}

---@type lsp_agent.Listing
local LISTING

---@param chat lsp_agent.Chat
local function load(chat)
  chat:in_session('agent/terminal/list', {}, function(result)
    listed[chat.root] = result.terminals
    listing.open(chat, LISTING)
  end)
end

---@param act fun(chat: lsp_agent.Chat, terminal: lsp_agent.Json)
---@return fun(chat: lsp_agent.Chat, row: integer)
local function with_item(act)
  return function(chat, row)
    local terminal = (listed[chat.root] or {})[row]
    if terminal then
      act(chat, terminal)
    end
  end
end

---@param chat lsp_agent.Chat
---@param terminal lsp_agent.Json
local function read(chat, terminal)
  chat:in_session('agent/terminal/read', { terminalId = terminal.terminalId }, function(result)
    local lines = vim.list_extend({ '$ ' .. terminal.command:gsub('\n', ' '), '' }, vim.split(result.text, '\r?\n'))
    require('lsp_agent.windows').scratch(lines, '')
    vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(0), 0 })
  end)
end

---@param chat lsp_agent.Chat
---@param terminal lsp_agent.Json
local function kill(chat, terminal)
  chat:in_session('agent/terminal/kill', { terminalId = terminal.terminalId }, function(result)
    vim.notify('lsp-agent: ' .. (result.killed and 'ended' or 'it had ended already'))
    load(chat)
  end)
end

LISTING = {
  name = 'terminals',
  help = '<CR> what it says   x end it   R again   q close',
  empty = 'No commands.',
  lines = function(chat)
    return vim.tbl_map(function(terminal)
      local code = terminal.exitCode and (' %d'):format(terminal.exitCode) or ''
      return ('%s%s  %s'):format(terminal.status, code, terminal.command)
    end, listed[chat.root])
  end,
  keys = {
    ['<CR>'] = with_item(read),
    x = with_item(kill),
    R = function(chat)
      load(chat)
    end,
  },
}

---List the commands of the session.
---@param chat lsp_agent.Chat
function M.open(chat)
  load(chat)
end

return M
