CREATE TABLE "heard_profiles" (
	"user_key" bigint PRIMARY KEY NOT NULL,
	"fields" text NOT NULL
);
