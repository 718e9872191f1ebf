# Nobody but the initialiser should change the limit. Who does?
watch logger.limit
continue
backtrace
# The write went to a sample. Which one?
print logger.next
print &logger.samples[logger.next] == &logger.limit
info symbol $pc
x/4i $pc - 4
# The ring has eight places, 0 to 7; the test comes one too late. Play the repaired program: where
# the next sample would go behind the end, put it at the beginning.
delete
set variable logger.limit = 500
set variable logger.next = 0
break record if log->next == 8
commands
  silent
  printf "wrapping at sample %d\n", sample
  set variable log->next = 0
  continue
end
continue
