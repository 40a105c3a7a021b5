module go-program

go 1.19
