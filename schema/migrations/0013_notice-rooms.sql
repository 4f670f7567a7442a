CREATE TABLE "notice_rooms" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"room_key" bigint NOT NULL
);
