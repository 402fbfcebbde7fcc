-- What outlives the editor: the client's id, which session belongs to which workspace. Files in the state directory,
-- written whole and renamed, so that a killed editor leaves the old or the new one.

local M = {}

---@return string
function M.directory()
  return vim.fs.joinpath(vim.fn.stdpath('state') --[[@as string]], 'lsp-agent')
end

---@param name string
---@return string?
local function read(name)
  local file = io.open(vim.fs.joinpath(M.directory(), name), 'r')
  if not file then
    return nil
  end
  local text = file:read('*a')
  file:close()
  return text
end

---@param name string
---@param text string
local function write(name, text)
  local directory = M.directory()
  vim.fn.mkdir(directory, 'p', tonumber('700', 8))
  local path = vim.fs.joinpath(directory, name)
  local temporary = ('%s.%d'):format(path, vim.uv.os_getpid())
  local file, problem = io.open(temporary, 'w')
  if not file then
    require('lsp_agent.log').write(vim.log.levels.ERROR, 'cannot remember: ' .. tostring(problem))
    return
  end
  file:write(text)
  file:close()
  vim.uv.fs_rename(temporary, path)
end

---A random UUID (version 4).
---@return string
function M.uuid()
  local bytes = { vim.uv.random(16):byte(1, 16) }
  bytes[7] = 0x40 + bytes[7] % 16
  bytes[9] = 0x80 + bytes[9] % 64
  local hex = (('%02x'):rep(16)):format(unpack(bytes))
  return table.concat({ hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21) }, '-')
end

---This installation's id, made at the first call.
---@return string
function M.client_id()
  local id = (read('client-id') or ''):match('^[%x-]+')
  if not id then
    id = M.uuid()
    write('client-id', id .. '\n')
  end
  return id
end

---@param name string
---@return table what is stored there; empty when that is nothing, or something else
local function decoded(name)
  local ok, value = pcall(vim.json.decode, read(name) or '{}')
  return ok and type(value) == 'table' and value or {}
end

---@return table<string, string>
local function sessions()
  return decoded('sessions.json')
end

---The session of a workspace, nil when there is none.
---@param root string
---@return string?
function M.session(root)
  return sessions()[root]
end

---Remember the session of a workspace; nil forgets it.
---@param root string
---@param session_id string?
function M.remember(root, session_id)
  local all = sessions()
  if all[root] ~= session_id then
    all[root] = session_id
    write('sessions.json', next(all) and vim.json.encode(all) or '{}')
  end
end

return M
