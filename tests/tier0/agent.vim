" Driven by test_vim.py: Vim with ALE and no plugin of ours. `:sleep` lets callbacks run.
set nocompatible nomore shortmess+=F
filetype plugin on
set packpath+=/usr/share/vim-ale runtimepath+=/usr/share/vim-ale
runtime plugin/ale.vim
source $AGENT_PAGE
doautocmd VimEnter

" Batch mode keeps no message history: what ALE would echo is kept here.
let s:said = ''
runtime autoload/ale/util.vim
function! ale#util#ShowMessage(message, ...) abort
  let s:said .= a:message . "\n"
endfunction

let s:report = []
let s:items = []

function! Found(data, items) abort
  let s:items = []
  for item in a:items
    call add(s:items, [a:data, item[1]])
  endfor
endfunction

" Choose the code action that begins with title; tries until it is offered.
function! Act(title) abort
  for attempt in range(200)
    let s:items = []
    call ale#codefix#Execute(0, function('Found'))
    for wait in range(20)
      sleep 50m
      if !empty(s:items) | break | endif
    endfor
    for [data, item] in s:items
      if stridx(item.title, a:title) == 0
        call ale#codefix#ApplyLSPCodeAction(data, item)
        call add(s:report, 'chose ' . item.title)
        return
      endif
    endfor
  endfor
  throw 'never offered: ' . a:title
endfunction

function! Said(part) abort
  for attempt in range(400)
    if stridx(s:said, a:part) >= 0
      call add(s:report, 'said ' . a:part)
      return
    endif
    sleep 50m
  endfor
  throw 'never said: ' . a:part . ' but ' . s:said
endfunction

function! Run() abort
  try
    execute 'edit' $AGENT_PROJECT . '/fix.py'
    set filetype=python
    call cursor(3, 1)
    call Act('Agent: do this')
    call Act('Agent: Allow once')
    call Said('Agent: Renamed it.')
    call add(s:report, 'first line ' . getline(1))
  catch
    call add(s:report, 'failed ' . v:exception . ' at ' . v:throwpoint)
  endtry
  call writefile(s:report, $AGENT_REPORT)
  qall!
endfunction
call Run()
