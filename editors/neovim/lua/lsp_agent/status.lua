-- The one line that tells how the agent is: for the statusline and for `:Agent status`.

local M = {}

local waiting = false

---Something the statusline shows may have changed; it is drawn once in the next turn of the loop.
function M.changed()
  if waiting then
    return
  end
  waiting = true
  vim.schedule(function()
    waiting = false
    for _, chat in ipairs(require('lsp_agent.chat').all()) do
      require('lsp_agent.queue').refresh(chat)
      require('lsp_agent.progress').update(chat)
    end
    vim.api.nvim_exec_autocmds('User', { pattern = 'LspAgentStatus', modeline = false })
    vim.cmd.redrawstatus({ bang = true })
  end)
end

---@param usage lsp_agent.Json
---@return string
local function meter(usage)
  local parts = {}
  if (usage.contextWindow or 0) > 0 then
    parts[1] = ('%d%%%%'):format(math.floor(100 * usage.usedTokens / usage.contextWindow + 0.5))
  end
  if (usage.costUsd or 0) > 0 then
    parts[#parts + 1] = ('%s$%.2f'):format(usage.estimated and '~' or '', usage.costUsd)
  end
  return table.concat(parts, ' ')
end

---The value of an option of the session; nil when it was not told.
---@param session lsp_agent.Session
---@param option_id string
---@return string?
function M.option(session, option_id)
  for _, option in ipairs(session.options) do
    if option.optionId == option_id then
      return type(option.value) == 'string' and option.value or nil
    end
  end
end

---How much of the plan is done.
---@param session lsp_agent.Session
---@return integer done
---@return integer all
function M.plan(session)
  local done = vim.iter(session.plan):fold(0, function(count, entry)
    return count + (entry.status == 'completed' and 1 or 0)
  end)
  return done, #session.plan
end

---A statusline component for the workspace of the current buffer; empty while there is no server.
---@return string
function M.line()
  local chat = require('lsp_agent.chat').here()
  if not chat:client() then
    return ''
  end
  local session = chat:session()
  if not session then
    return 'agent: ready'
  end
  local parts = { 'agent: ' .. session.state:gsub('_', ' ') }
  local waiting = #chat:waiting_for('pending') + #chat:waiting_for('questions')
  if waiting > 0 then
    parts[#parts + 1] = ('%d to answer'):format(waiting)
  end
  if session.queue.count > 0 then
    parts[#parts + 1] = ('%d queued'):format(session.queue.count)
  end
  local done, all = M.plan(session)
  if all > done and session.state ~= 'idle' then
    parts[#parts + 1] = ('plan %d/%d'):format(done, all)
  end
  local mode = M.option(session, 'mode')
  if mode then
    parts[#parts + 1] = mode == 'full-auto' and '%#WarningMsg#full-auto%*' or mode
  end
  local spent = session.usage and meter(session.usage) or ''
  if spent ~= '' then
    parts[#parts + 1] = spent
  end
  return table.concat(parts, ' · ')
end

---Tell the user how server and session are.
---@param chat lsp_agent.Chat
function M.show(chat)
  chat:when_ready(function()
    chat:request('agent/status', { sessionId = chat.current }, function(result)
      local lines = {
        ('lsp-agent %s in %s'):format(result.version or '?', chat.root),
        ('session %s%s'):format(chat.current or 'none', result.busy and ', busy' or ''),
        ('log %s'):format(result.logPath or 'none'),
      }
      vim.notify(table.concat(lines, '\n'))
    end)
  end)
end

return M
