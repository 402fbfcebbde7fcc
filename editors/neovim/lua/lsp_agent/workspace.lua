-- What the workspace brings along: trust, rules, MCP servers.

local M = {}

---Show trust, and change it when the user says so. Nothing is the default.
---@param chat lsp_agent.Chat
function M.trust(chat)
  local root = vim.uri_from_fname(chat.root)
  chat:when_ready(function()
    chat:request('agent/trust/get', { root = root }, function(state)
      local about = {}
      for name, uris in pairs({ ['obeyed when trusted'] = state.files, ['with hidden characters'] = state.hidden }) do
        for _, uri in ipairs(uris or {}) do
          about[#about + 1] = ('%s (%s)'):format(vim.fs.basename(vim.uri_to_fname(uri)), name)
        end
      end
      local said = #about > 0 and ': ' .. table.concat(about, ', ') or ''
      local prompt = ('%s is %s%s'):format(chat.root, state.trusted and 'trusted' or 'not trusted', said)
      local items = { 'Leave it so', state.trusted and 'Trust it no longer' or 'Trust this folder' }
      vim.ui.select(items, { prompt = prompt, kind = 'lsp_agent_trust' }, function(_, index)
        if index ~= 2 then
          return
        end
        chat:request('agent/trust/set', { root = root, trusted = not state.trusted }, function(result)
          vim.notify('lsp-agent: ' .. (result.trusted and 'trusted' or 'not trusted'))
        end)
      end)
    end)
  end)
end

---@param rule lsp_agent.Json
---@return string
local function rule_line(rule)
  local why = rule.problem or not rule.active and 'not in force'
  return ('%s%s'):format(rule.name, why and (' (%s)'):format(why) or '')
end

---The files of instructions, those in force first; the one chosen is opened.
---@param chat lsp_agent.Chat
function M.rules(chat)
  chat:when_ready(function()
    chat:request('agent/rules/list', { limit = 200 }, function(result)
      local rules = vim.list_extend({}, result.rules)
      for _, skill in ipairs(result.skills or {}) do
        rules[#rules + 1] = vim.tbl_extend('force', skill, { name = 'skill ' .. skill.name })
      end
      if #rules == 0 then
        return vim.notify('lsp-agent: no rules here')
      end
      local options = { prompt = 'Rules', kind = 'lsp_agent_rules', format_item = rule_line }
      vim.ui.select(rules, options, function(rule)
        if rule then
          vim.cmd.split(vim.fn.fnameescape(vim.uri_to_fname(rule.uri)))
        end
      end)
    end)
  end)
end

---@param server lsp_agent.Json
---@return string
local function server_line(server)
  local more = type(server.error) == 'string' and ': ' .. server.error or ''
  return ('%s (%s) %s, %d tools%s'):format(server.name, server.type, server.state, server.tools or 0, more)
end

---@param chat lsp_agent.Chat
---@param method 'restart'|'login'
---@param name string
local function act_on_server(chat, method, name)
  chat:request('agent/mcp/' .. method, { name = name }, function(result)
    if type(result.url) == 'string' then
      vim.notify('lsp-agent: log in at ' .. result.url)
      return vim.ui.open(result.url)
    end
    vim.notify(('lsp-agent: %s is %s'):format(name, result.state))
  end)
end

---MCP servers and their state: restart one, or log in.
---@param chat lsp_agent.Chat
function M.mcp(chat)
  chat:when_ready(function()
    chat:request('agent/mcp/list', { limit = 200 }, function(result)
      if #result.servers == 0 then
        return vim.notify('lsp-agent: no MCP servers are configured, or none before the first prompt')
      end
      local options = { prompt = 'MCP server', kind = 'lsp_agent_mcp', format_item = server_line }
      vim.ui.select(result.servers, options, function(server)
        if not server then
          return
        end
        vim.ui.select({ 'restart', 'login' }, { prompt = server.name, kind = 'lsp_agent_mcp' }, function(method)
          if method then
            act_on_server(chat, method, server.name)
          end
        end)
      end)
    end)
  end)
end

return M
