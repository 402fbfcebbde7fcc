-- The life of a chat's server: started when it is needed, greeted, missed, started again. What waits for it meanwhile
-- is done once it is there, or given back when it will not come.

local config = require('lsp_agent.config')
local errors = require('lsp_agent.errors')
local memory = require('lsp_agent.memory')

local M = {}

local LOG_BYTES = 16384

---Nobody will come: what waited is told so.
---@param chat lsp_agent.Chat
local function give_up(chat)
  local waiting = chat.waiting
  chat.waiting = {}
  for _, item in ipairs(waiting) do
    if item.lost then
      item.lost()
    end
  end
  require('lsp_agent.sending').give_up(chat)
end

---Call `go` once the server is there and the last session is attached; starts the server when it does not run.
---@param chat lsp_agent.Chat
---@param go fun()?
---@param lost fun()? Called instead when the server cannot be started; the user has been told why
function M.when_ready(chat, go, lost)
  if chat.ready and chat:client() then
    return go and go()
  end
  if go then
    table.insert(chat.waiting, { go = go, lost = lost })
  end
  if not chat:client() then
    chat.client_id = require('lsp_agent.client').start(chat.root)
    if not chat.client_id then
      give_up(chat)
    end
  end
end

---@param chat lsp_agent.Chat
local function become_ready(chat)
  chat.ready = true
  require('lsp_agent.sending').again(chat)
  local waiting = chat.waiting
  chat.waiting = {}
  for _, item in ipairs(waiting) do
    item.go()
  end
end

---Stop the server and start it again; the session goes on where it was.
---@param chat lsp_agent.Chat
function M.restart(chat)
  local client = chat:client()
  if not client then
    return M.when_ready(chat)
  end
  chat.restarting, chat.crashes, chat.ready = true, 0, false
  client:stop()
end

---The server has answered `initialize`.
---@param client vim.lsp.Client
---@param result lsp.InitializeResult
function M.connected(client, result)
  local chat = require('lsp_agent.chat').of_client(client)
  if not chat then
    return
  end
  chat.client_id, chat.ready = client.id, false
  chat.abilities = vim.tbl_get(result, 'capabilities', 'experimental', 'agent') or {}
  chat.instance = chat.abilities.instanceId
  if chat.abilities.error then
    errors.report({ message = 'no common version', data = chat.abilities.error }, 'connect')
    return give_up(chat)
  end
  require('lsp_agent.editor').watch(chat)
  local last = chat.current or config.get().restore and memory.session(chat.root) or nil
  vim.schedule(function()
    if last then
      chat:attach(last, function()
        become_ready(chat)
      end)
    else
      become_ready(chat)
    end
  end)
end

---The last line the server wrote to its standard error, which Neovim keeps in its log. nil when there is none.
---@return string?
local function last_words()
  local file = io.open(vim.lsp.log.get_filename(), 'rb')
  if not file then
    return nil
  end
  file:seek('set', math.max(file:seek('end') - LOG_BYTES, 0))
  local said
  for _, text in file:read('*a'):gmatch('"stderr"%s+(["\'])(.-)%1\r?\n') do
    for _, row in ipairs(vim.split((text:gsub('\\n', '\n'):gsub('\\(.)', '%1')), '\n')) do
      said = vim.trim(row) ~= '' and vim.trim(row) or said
    end
  end
  file:close()
  return said
end

---@param chat lsp_agent.Chat
---@param code integer
---@param signal integer
---@return boolean again Whether it is to be started once more
local function crashed(chat, code, signal)
  chat.crashes = chat.crashes + 1
  local again = chat.crashes <= config.get().restarts
  local text = ('the server ended: code %d, signal %d'):format(code, signal)
  require('lsp_agent.log').write(vim.log.levels.ERROR, text)
  local words = not again and last_words() or nil
  local why = words and (', and said: %s'):format(vim.fn.strcharpart(words, 0, 200)) or ''
  local next_step = again and '; starting it again'
    or '. :Agent restart tries again, :checkhealth lsp_agent looks closer'
  local level = again and vim.log.levels.WARN or vim.log.levels.ERROR
  vim.notify('lsp-agent: ' .. text .. why .. next_step, level)
  return again
end

---The server is gone. One that crashed is started again, a few times.
---@param client_id integer
---@param code integer
---@param signal integer
function M.disconnected(client_id, code, signal)
  for _, chat in ipairs(require('lsp_agent.chat').all()) do
    if chat.client_id == client_id and vim.v.exiting == vim.NIL then
      local again = chat.restarting
      chat.ready, chat.client_id, chat.restarting = false, nil, false
      chat.view:flush()
      require('lsp_agent.progress').over(chat)
      require('lsp_agent.status').changed()
      if code ~= 0 or signal ~= 0 then
        again = crashed(chat, code, signal)
      end
      if again then
        M.when_ready(chat)
      else
        chat.crashes = 0 -- whoever starts it next begins anew
        give_up(chat)
      end
    end
  end
end

return M
