-- A question of the agent as a form: its fields, what was chosen so far, the lines to show, the content to send. Pure.
-- A record has `questions`, or only a `schema` (a flat JSON Schema object, as servers of the user's send it).

local M = {}

---@class (exact) lsp_agent.Field
---@field key string Where the answer goes in the content
---@field kind string yes_no, single_choice, multi_choice, free_text
---@field text string
---@field description string?
---@field choices { id: string, label: string, description: string? }[]
---@field own string? Key of an answer in own words
---@field is_number boolean

---@class (exact) lsp_agent.Form
---@field record lsp_agent.Question
---@field fields lsp_agent.Field[]
---@field values table<string, any> By key: a choice's id, a set of ids, or a text
---@field own table<string, string> By key: own words

---Where a line of the form leads to.
---@class (exact) lsp_agent.Target
---@field field integer?
---@field choice string?
---@field write 'text'|'own'?
---@field action 'accept'|'decline'?

local YES_NO = { { id = 'yes', label = 'Yes' }, { id = 'no', label = 'No' } }

---@param value any
---@return any
local function present(value)
  return value ~= vim.NIL and value or nil
end

---@param property lsp_agent.Json
---@return string kind
---@return { id: string, label: string }[]
local function of_schema(property)
  local listed = property.type == 'array' and present(property.items) or property
  if type(present(listed.enum)) == 'table' then
    local choices, labels = {}, present(listed.enumNames) or {}
    for index, id in ipairs(listed.enum) do
      choices[index] = { id = tostring(id), label = tostring(present(labels[index]) or id) }
    end
    return property.type == 'array' and 'multi_choice' or 'single_choice', choices
  end
  if property.type == 'boolean' then
    return 'yes_no', YES_NO
  end
  return 'free_text', {}
end

---@param schema lsp_agent.Json
---@return lsp_agent.Field[]
local function fields_of_schema(schema)
  local names, fields = vim.tbl_keys(present(schema.properties) or {}), {}
  table.sort(names)
  for index, name in ipairs(names) do
    local property = schema.properties[name]
    local kind, choices = of_schema(property)
    fields[index] = {
      key = name,
      kind = kind,
      text = present(property.title) or name,
      description = present(property.description),
      choices = choices,
      is_number = property.type == 'number' or property.type == 'integer',
    }
  end
  return fields
end

---@param record lsp_agent.Question
---@return lsp_agent.Field[]
local function fields_of(record)
  local schema = present(record.schema) or {}
  if not present(record.questions) then
    return fields_of_schema(schema)
  end
  local fields, properties = {}, present(schema.properties) or {}
  for index, question in ipairs(record.questions) do
    local own = question.key .. '_other'
    fields[index] = {
      key = question.key,
      kind = question.type,
      text = question.text,
      description = present(question.description),
      choices = question.type == 'yes_no' and YES_NO or present(question.choices) or {},
      own = properties[own] and own or nil,
      is_number = false,
    }
  end
  return fields
end

---A form with nothing filled in.
---@param record lsp_agent.Question
---@return lsp_agent.Form
function M.new(record)
  return { record = record, fields = fields_of(record), values = {}, own = {} }
end

---Whether one key answers it: one field, of which one choice is taken.
---@param form lsp_agent.Form
---@return boolean
function M.is_short(form)
  local field = form.fields[1]
  return #form.fields == 1 and #form.fields[1].choices > 0 and field.kind ~= 'multi_choice'
end

---Choose, or choose no more.
---@param form lsp_agent.Form
---@param index integer
---@param id string
function M.toggle(form, index, id)
  local field = form.fields[index]
  if field.kind == 'multi_choice' then
    local chosen = form.values[field.key] or {}
    chosen[id] = not chosen[id] or nil
    form.values[field.key] = chosen
  else
    form.values[field.key] = form.values[field.key] ~= id and id or nil
  end
end

---Write the answer, or one in own words. An empty text takes it back.
---@param form lsp_agent.Form
---@param index integer
---@param text string
function M.write(form, index, text)
  local field = form.fields[index]
  local into = field.own and form.own or form.values
  into[field.own or field.key] = text ~= '' and text or nil
end

---What was written so far.
---@param form lsp_agent.Form
---@param index integer
---@return string
function M.written(form, index)
  local field = form.fields[index]
  local value = field.own and form.own[field.own] or not field.own and form.values[field.key]
  return type(value) == 'string' and value or ''
end

---The `content` to answer with: a field that was left open is not in it.
---@param form lsp_agent.Form
---@return lsp_agent.Json
function M.content(form)
  local content = vim.empty_dict()
  for _, field in ipairs(form.fields) do
    local value = form.values[field.key]
    if field.kind == 'yes_no' and value then
      content[field.key] = value == 'yes'
    elseif field.kind == 'multi_choice' and value then
      local ids = {}
      for _, choice in ipairs(field.choices) do
        ids[#ids + 1] = value[choice.id] and choice.id or nil
      end
      content[field.key] = #ids > 0 and ids or nil
    elseif value then
      content[field.key] = field.is_number and tonumber(value) or value
    end
    if field.own then
      content[field.own] = form.own[field.own]
    end
  end
  return content
end

---@param text string
---@return string
local function flat(text)
  return (text:gsub('%s*\n%s*', ' '))
end

---@param form lsp_agent.Form
---@param index integer
---@param add fun(line: string, target: lsp_agent.Target?)
local function show_field(form, index, add)
  local field = form.fields[index]
  add('')
  add(('%d. %s'):format(index, flat(field.text)))
  if field.description and field.description ~= '' then
    add('   ' .. flat(field.description))
  end
  local value = form.values[field.key]
  for _, choice in ipairs(field.choices) do
    local is_chosen = type(value) == 'table' and value[choice.id] or value == choice.id
    local box = field.kind == 'multi_choice' and (is_chosen and '[x]' or '[ ]') or (is_chosen and '(•)' or '( )')
    local about = present(choice.description)
    local more = about and about ~= '' and ' — ' .. flat(about) or ''
    add(('   %s %s%s'):format(box, flat(choice.label), more), { field = index, choice = choice.id })
  end
  if field.own or #field.choices == 0 then
    local said = field.own and 'in your own words: ' or 'write: '
    add('    ✎  ' .. said .. flat(M.written(form, index)), { field = index, write = field.own and 'own' or 'text' })
  end
end

---The form as lines, with what each leads to.
---@param form lsp_agent.Form
---@return string[] lines
---@return table<integer, lsp_agent.Target> targets By line, from 1
function M.lines(form)
  local lines, targets = {}, {}
  ---@param line string
  ---@param target lsp_agent.Target?
  local function add(line, target)
    lines[#lines + 1] = line
    targets[#lines] = target
  end
  add(flat(form.record.message))
  if #form.fields ~= 1 and present(form.record.description) then
    add(flat(form.record.description))
  end
  for index in ipairs(form.fields) do
    show_field(form, index, add)
  end
  add('')
  add('   Send the answer', { action = 'accept' })
  add('   Decline to answer', { action = 'decline' })
  return lines, targets
end

return M
