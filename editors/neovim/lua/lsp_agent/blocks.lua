-- The lines a chat shows for each thing of the view model. Pure: view model in, lines out.

local fold = require('lsp_agent.session')

local M = {}

local MAX_OUTPUT_LINES = 400
M.THOUGHT_PREFIX = '  ┊ '
M.OUTPUT_PREFIX = '  │ '

local MARKS = {
  pending = '·',
  in_progress = '…',
  completed = '✔',
  failed = '✘',
  rejected = '⊘',
  cancelled = '⊘',
}

---@param text string
---@param prefix string?
---@return string[]
local function lines_of(text, prefix)
  local lines = vim.split(text, '\n', { plain = true })
  if prefix then
    for index, line in ipairs(lines) do
      lines[index] = prefix .. line
    end
  end
  return lines
end

---@param attachment lsp_agent.Json
---@return string
local function place(attachment)
  local name = attachment.path or attachment.name or attachment.uri or attachment.type or 'attachment'
  if attachment.startLine then
    name = ('%s:%d-%d'):format(name, attachment.startLine + 1, (attachment.endLine or attachment.startLine) + 1)
  end
  return attachment.version and ('%s (version %d)'):format(name, attachment.version) or name
end

---Who speaks; of the user also what they said.
---@param message lsp_agent.LiveMessage
---@return string[]
function M.message(message)
  if message.role ~= 'user' then
    return { '', message.model and ('## Agent · %s'):format(message.model) or '## Agent' }
  end
  local lines = { '', '## You', '' }
  vim.list_extend(lines, lines_of(fold.text(message, 'text')))
  for _, attachment in ipairs(message.attachments) do
    lines[#lines + 1] = ('*attached: %s*'):format(place(attachment))
  end
  return lines
end

---@param message lsp_agent.LiveMessage
---@return string[]
function M.text(message)
  local lines = { '' }
  return vim.list_extend(lines, lines_of(fold.text(message, 'text')))
end

---@param message lsp_agent.LiveMessage
---@return string[]
function M.thought(message)
  local lines = { '', '*thinking*' }
  return vim.list_extend(lines, lines_of(fold.text(message, 'thought'), M.THOUGHT_PREFIX))
end

---One line that tells what and how it went, and below it, folded, what came out.
---@param tool lsp_agent.LiveTool
---@return string[]
function M.tool(tool)
  local title = (tool.title ~= '' and tool.title or tool.name):gsub('\n', ' ')
  local lines = { ('▸ %s `%s` %s'):format(MARKS[tool.status] or '·', tool.name, title) }
  local output = fold.output(tool)
  if output ~= '' then
    local shown = lines_of(output, M.OUTPUT_PREFIX)
    for index = 1, math.min(#shown, MAX_OUTPUT_LINES) do
      lines[#lines + 1] = shown[index]
    end
    if #shown > MAX_OUTPUT_LINES then
      lines[#lines + 1] = ('%s… %d more lines'):format(M.OUTPUT_PREFIX, #shown - MAX_OUTPUT_LINES)
    end
  end
  return lines
end

---What a permission is about, as lines: a diff, a command, or its place.
---@param subject lsp_agent.Json
---@return string[]
function M.subject(subject)
  if subject.type == 'edit' then
    local lines = { '```diff' }
    for _, file in ipairs(subject.changes or {}) do
      lines[#lines + 1] = '--- ' .. vim.uri_to_fname(file.uri)
      for _, hunk in ipairs(file.hunks or {}) do
        lines[#lines + 1] = ('@@ line %d @@'):format(hunk.range.start.line + 1)
        for _, side in ipairs({ { '-', hunk.oldText }, { '+', hunk.newText } }) do
          if side[2] ~= '' then
            vim.list_extend(lines, lines_of((side[2]:gsub('\r?\n$', '')), side[1]))
          end
        end
      end
    end
    lines[#lines + 1] = '```'
    return lines
  end
  local said = subject.command or subject.url or subject.path or vim.json.encode(subject.input or {})
  local lines = vim.list_extend({ '```' }, lines_of(said))
  lines[#lines + 1] = '```'
  return lines
end

---An open question, with the keys that answer it.
---@param record lsp_agent.Permission
---@param keys lsp_agent.KeysConfig
---@return string[]
function M.permission(record, keys)
  local lines = { '', '### Permission: ' .. record.title:gsub('\n', ' ') }
  if record.description then
    vim.list_extend(lines, lines_of(record.description))
  end
  vim.list_extend(lines, M.subject(record.subject))
  for _, option in ipairs(record.options) do
    lines[#lines + 1] = ('- `%s` %s'):format(keys[option.kind] or '?', option.name)
  end
  lines[#lines + 1] = ('- `%s` Reject with a message for the model'):format(keys.reject_message)
  return lines
end

---A question that was answered, on one line.
---@param title string
---@param answer { outcome: any, by: string? }
---@return string[]
function M.answered(title, answer)
  local outcome = type(answer.outcome) == 'table' and answer.outcome or { type = answer.outcome }
  local said = outcome.optionId or outcome.type or 'resolved'
  local mark = tostring(said):match('^allow') and '✔' or '⊘'
  return { ('%s %s: %s'):format(mark, tostring(said):gsub('_', ' '), (title:gsub('\n', ' '))) }
end

---How a run ended, when there is something to say about it.
---@param params lsp_agent.Json
---@return string[]?
function M.complete(params)
  if params.error then
    local said = (params.error.message or ''):gsub('\n', ' ')
    return { '', ('**%s**: %s'):format(params.error.title or params.error.kind, said) }
  elseif params.stopReason ~= 'end_turn' then
    return { '', ('*%s*'):format(params.stopReason:gsub('_', ' ')) }
  end
end

---@param notice lsp_agent.Notice
---@return string[]
function M.notice(notice)
  return { ('*%s: %s*'):format(notice.level, (notice.message:gsub('\n', ' '))) }
end

---Fold level of a line: thinking and tool output are folded below their head lines.
---@param line string
---@return integer
function M.fold_level(line)
  return (vim.startswith(line, M.THOUGHT_PREFIX) or vim.startswith(line, M.OUTPUT_PREFIX)) and 1 or 0
end

return M
