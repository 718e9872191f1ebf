break factorial if n == 2
continue
info args
backtrace
print calls
print basket[0]
stepi
step
delete
finish
continue
