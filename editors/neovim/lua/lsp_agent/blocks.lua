-- The lines a chat shows for each thing of the view model. Pure: view model in, lines out.

local deciding = require('lsp_agent.deciding')
local fold = require('lsp_agent.session')
local forms = require('lsp_agent.form')

local M = {}

local MAX_OUTPUT_LINES = 400
local MAX_CHILD_LINES = 200
local RUNNING_LINES = 15
M.THOUGHT_PREFIX = '  ┊ '
M.OUTPUT_PREFIX = '  │ '
M.RUNNING_PREFIX = '  ▏ ' -- of a command that runs: it is not folded
M.CHILD_PREFIX = '  ╎ '

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
  return name
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

---@param lines string[]
---@param more string[]
---@param limit integer
local function extend(lines, more, limit)
  for index = 1, math.min(#more, limit) do
    lines[#lines + 1] = more[index]
  end
  if #more > limit then
    lines[#lines + 1] = ('%s… %d more lines'):format(M.OUTPUT_PREFIX, #more - limit)
  end
end

---The end of what a command has said so far: while it runs that is what one wants to see.
---@param lines string[]
---@return string[]
local function ending(lines)
  if #lines <= RUNNING_LINES then
    return lines
  end
  local last = vim.list_slice(lines, #lines - RUNNING_LINES + 1)
  table.insert(last, 1, ('%s… %d lines before'):format(M.RUNNING_PREFIX, #lines - RUNNING_LINES))
  return last
end

---@param tool lsp_agent.LiveTool
---@return string
local function head(tool)
  local title = (tool.title ~= '' and tool.title or tool.name):gsub('\n', ' ')
  return ('▸ %s `%s` %s'):format(MARKS[tool.status] or '·', tool.name, title)
end

---What a sub-agent does, as lines: its words, its tool calls and what came out of them.
---@param child lsp_agent.Session
---@param children_of fun(tool_call_id: string): lsp_agent.Session[]
---@return string[] lines
---@return string? last Its newest tool call
---@return integer count Of its tool calls
function M.child(child, children_of)
  local lines, last, count = {}, nil, 0
  for _, message in ipairs(child.order) do
    local text = message.role ~= 'user' and fold.text(message, 'text') or ''
    if text ~= '' then
      vim.list_extend(lines, lines_of(text))
    end
    for _, tool in ipairs(message.tools) do
      last, count = tool.title ~= '' and tool.title or tool.name, count + 1
      vim.list_extend(lines, M.tool(tool, children_of))
    end
  end
  return lines, last, count
end

---One line that tells what and how it went, and below it, folded, what came out; of a sub-agent what it does.
---@param tool lsp_agent.LiveTool
---@param children_of (fun(tool_call_id: string): lsp_agent.Session[])?
---@return string[]
function M.tool(tool, children_of)
  local lines = { head(tool) }
  for _, child in ipairs(children_of and children_of(tool.id) or {}) do
    local said, last, count = M.child(child, children_of)
    if count > 0 then
      local now = tool.status == 'in_progress' and ': ' .. last or ''
      lines[1] = ('%s · %d %s%s'):format(lines[1], count, count == 1 and 'tool call' or 'tool calls', now)
    end
    for index, line in ipairs(said) do
      said[index] = M.CHILD_PREFIX .. line
    end
    extend(lines, said, MAX_CHILD_LINES)
  end
  local output = fold.output(tool)
  if output ~= '' and tool.terminal then
    vim.list_extend(lines, ending(lines_of((output:gsub('\n$', '')), M.RUNNING_PREFIX)))
  elseif output ~= '' then
    extend(lines, lines_of(output, M.OUTPUT_PREFIX), MAX_OUTPUT_LINES)
  end
  return lines
end

local BOXES = { completed = '[x]', in_progress = '[~]' }

---What the agent wants to do, and how far it is; nil when it has no plan.
---@param entries lsp_agent.Json[]
---@return string[]?
function M.plan(entries)
  if #entries == 0 then
    return nil
  end
  local lines, done = { '', '' }, 0
  for _, entry in ipairs(entries) do
    local text = entry.status == 'in_progress' and entry.activeForm or entry.content
    done = done + (entry.status == 'completed' and 1 or 0)
    lines[#lines + 1] = ('- %s %s'):format(BOXES[entry.status] or '[ ]', text)
  end
  lines[2] = ('**Plan** %d/%d'):format(done, #entries)
  return lines
end

---What a permission is about, as lines: a diff, a command, or its place.
---@param subject lsp_agent.Json
---@param root string? Files below it are named by their path there
---@return string[]
function M.subject(subject, root)
  if subject.type == 'edit' then
    local lines = { '```diff' }
    for _, file in ipairs(subject.changes or {}) do
      local path = vim.uri_to_fname(file.uri)
      lines[#lines + 1] = '--- ' .. (root and vim.fs.relpath(root, path) or path)
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

---A permission that waits, with the keys that answer it.
---@param record lsp_agent.Permission
---@param keys lsp_agent.KeysConfig
---@param root string?
---@return string[]
function M.permission(record, keys, root)
  local lines = { '', '### Permission: ' .. record.title:gsub('\n', ' ') }
  if record.description then
    vim.list_extend(lines, lines_of(record.description))
  end
  vim.list_extend(lines, M.subject(record.subject, root))
  for _, option in ipairs(record.options) do
    lines[#lines + 1] = ('- `%s` %s'):format(keys[option.kind] or '?', option.name)
  end
  lines[#lines + 1] = ('- `%s` Reject with a message for the model'):format(keys.reject_message)
  return lines
end

---@param question lsp_agent.Field
---@return string
local function in_short(question)
  local labels = vim.tbl_map(function(choice)
    return choice.label
  end, question.choices)
  return #labels > 0 and (' (%s)'):format(table.concat(labels, ' / ')) or ''
end

---A question that waits, with the keys that answer it.
---@param record lsp_agent.Question
---@param keys lsp_agent.KeysConfig
---@return string[]
function M.question(record, keys)
  local form = forms.new(record)
  local lines = { '', '### Question: ' .. record.message:gsub('\n', ' ') }
  if record.description then
    vim.list_extend(lines, lines_of(record.description))
  end
  if forms.is_short(form) then
    for number, choice in ipairs(form.fields[1].choices) do
      local more = choice.description and choice.description ~= '' and ' — ' .. choice.description or ''
      lines[#lines + 1] = ('- `%d` %s%s'):format(number, choice.label, more)
    end
  elseif #form.fields > 1 or form.fields[1] and in_short(form.fields[1]) ~= '' then
    for _, field in ipairs(form.fields) do
      lines[#lines + 1] = ('- %s%s'):format(field.text, in_short(field))
    end
  end
  lines[#lines + 1] = ('- `%s` Answer in a form'):format(keys.answer)
  lines[#lines + 1] = ('- `%s` Decline to answer'):format(keys.decline)
  return lines
end

---A permission or question that was answered, on one line.
---@param title string
---@param answer { outcome: any, by: string? }
---@return string[]
function M.answered(title, answer)
  local word, agreed = deciding.said(answer)
  return { ('%s %s: %s'):format(agreed and '✔' or '⊘', word, (title:gsub('\n', ' '))) }
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

---Fold level of a line: thinking, tool output and what sub-agents do are folded below their head lines.
---@param line string
---@return integer
function M.fold_level(line)
  local level = 0
  while vim.startswith(line, M.CHILD_PREFIX) do
    level, line = level + 1, line:sub(#M.CHILD_PREFIX + 1)
  end
  return level + ((vim.startswith(line, M.THOUGHT_PREFIX) or vim.startswith(line, M.OUTPUT_PREFIX)) and 1 or 0)
end

return M
